//! Readers who ask for much and take nothing.

use crate::crowd::{BASE_KB, MIB_KB, Siege};
use crate::sized;
use crate::wire_group::WireGroup;
use sordino_wire::media;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// All large answers together (`ALL_LARGE_BYTES` of the server), and as much again for what is being
/// put together when it is refused.
const ANSWERS_KB: u64 = 2 * 256 * MIB_KB;
/// Entries of the stream: a page of more than 3 MiB.
const ENTRIES: usize = 60;
const ENTRY_BYTES: usize = 60_000;

fn ask(address: SocketAddr, request: &[u8], pipelined: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: h\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        media::STREAMS,
        media::OCTETS,
        request.len()
    );
    let one = [head.as_bytes(), request].concat();
    // Whoever does not read may be cut while it still asks.
    let _ = stream.write_all(&one.repeat(pipelined));
    stream
}

#[test]
fn who_takes_nothing_holds_little() {
    let (siege, group) = Siege::begin();
    let mut large = WireGroup::with_messages(siege.hub.address, 2, 0, ENTRY_BYTES);
    let sent = large.send_until_refused(siege.hub.address, ENTRIES);
    assert_eq!(sent, ENTRIES);
    let request = large.reads()[0].1.clone();
    siege.withstand(group, BASE_KB + ANSWERS_KB, |address| {
        let readers = sized(150, 1_000);
        // One after the other on each connection: the first answers go into the system's buffers.
        let pipelined = sized(2, 4);
        let lasting = Duration::from_secs(sized(4, 60));
        let end = Instant::now() + lasting;
        let held: Vec<_> = (0..readers)
            .map(|_| ask(address, &request, pipelined))
            .collect();
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        drop(held);
        format!("{readers} readers who take nothing, {pipelined} pages each")
    });
}
