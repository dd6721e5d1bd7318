//! Bytes that mean nothing, in every way in which they can come.

use crate::crowd::{BASE_KB, MIB_KB, Siege, many};
use crate::sized;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sordino_wire::media;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const THREADS: usize = 8;
/// All request bodies together may take so much (`ALL_BODIES_BYTES` of the server).
const BODIES_KB: u64 = 256 * MIB_KB;

const PATHS: [&str; 8] = [
    media::GROUP_OPERATION,
    media::WELCOME_INFORMATION,
    media::EXTERNAL_COMMIT_INFORMATION,
    media::STREAMS,
    media::INBOXES,
    media::STREAMS_LIVE,
    media::DIRECTORY,
    "/no/such/place",
];

fn random(rng: &mut ChaCha20Rng, most: usize) -> Vec<u8> {
    let length = usize::try_from(rng.next_u64()).unwrap() % most;
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn head(path: &str, announced: usize) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: {}\r\ncontent-length: {announced}\r\n\
         connection: close\r\n\r\n",
        media::OCTETS
    )
    .into_bytes()
}

/// One piece of garbage.
fn garbage(rng: &mut ChaCha20Rng) -> Vec<u8> {
    let kind = rng.next_u32() % 8;
    let path = PATHS[usize::try_from(rng.next_u32()).unwrap() % PATHS.len()];
    match kind {
        // No HTTP at all.
        0 => random(rng, 4_096),
        // The beginning of HTTP/2, and then none.
        1 => [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            random(rng, 4_096),
        ]
        .concat(),
        // A head that does not end.
        2 => [b"POST / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 100_000]].concat(),
        // A socket, and frames of anything.
        3 => {
            let upgrade = format!(
                "GET {} HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                media::STREAMS_LIVE
            );
            [upgrade.into_bytes(), random(rng, 4_096)].concat()
        }
        // Much announced, little sent.
        4 => [head(path, 8_000_000), random(rng, 1_024)].concat(),
        // An envelope of the right version and size, and nothing right in it.
        5 => {
            let mut body = random(rng, 16_384);
            body.resize(body.len().max(512).next_power_of_two(), 0);
            let kind = body[4] % 60;
            body[..4].copy_from_slice(&[0, 1, 0, kind]);
            [head(path, body.len()), body].concat()
        }
        _ => {
            let body = random(rng, 65_536);
            [head(path, body.len()), body].concat()
        }
    }
}

fn throw(address: SocketAddr, bytes: &[u8]) {
    // The hub may cut the connection whenever it likes.
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let _ = stream.write_all(bytes);
    let mut answer = [0; 1_024];
    let _ = stream.read(&mut answer);
    let _ = stream.shutdown(Shutdown::Both);
}

#[test]
fn garbage_is_thrown_away() {
    let (siege, group) = Siege::begin();
    siege.withstand(group, BASE_KB + BODIES_KB, |address| {
        let lasting = Duration::from_secs(sized(3, 60));
        let thrown = many(THREADS, lasting, |thread, round| {
            let seed = u64::try_from(thread).unwrap() << 32 | round;
            throw(address, &garbage(&mut ChaCha20Rng::seed_from_u64(seed)));
        });
        format!("{thrown} pieces of garbage")
    });
}
