//! Very many connections that bring nothing.

use crate::crowd::{BASE_KB, MIB_KB, Siege};
use crate::sized;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// What one connection holds at most before it has brought a request.
const CONNECTION_KB: u64 = 80;

#[test]
fn idle_connections_cost_little() {
    let count: u64 = sized(400, 5_000);
    let (siege, group) = Siege::begin();
    let bound_kb = BASE_KB + count.min(4_096) * CONNECTION_KB + 64 * MIB_KB;
    siege.withstand(group, bound_kb, |address| {
        let mut held = Vec::new();
        for number in 0..count {
            let mut stream = TcpStream::connect(address).unwrap();
            match number % 3 {
                0 => {}
                1 => stream.write_all(b"POST /streams HTTP/1.1\r\nho").unwrap(),
                // One that may stay: it has asked something.
                _ => stream
                    .write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n")
                    .unwrap(),
            }
            held.push(stream);
        }
        std::thread::sleep(Duration::from_secs(sized(1, 40)));
        format!("{count} connections that bring nothing")
    });
}
