//! Owns a WebSocket client that costs little: a reader of streams among a thousand.

use sordino_wire::{
    DsResponse, List, ReadStreams, ResponseBody, StreamId, StreamPages, StreamRead, encode, media,
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One reader.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Socket {
    /// Connects and subscribes to one stream.
    pub async fn subscribe(address: SocketAddr, stream_id: StreamId, from: u64) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut socket = Self {
            stream,
            buffer: vec![0; 8 * 1024],
            filled: 0,
        };
        let upgrade = format!(
            "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            media::STREAMS_LIVE
        );
        socket.stream.write_all(upgrade.as_bytes()).await.unwrap();
        let head = loop {
            socket.fill().await;
            let received = &socket.buffer[..socket.filled];
            if let Some(at) = received.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
        };
        assert!(socket.buffer.starts_with(b"HTTP/1.1 101"));
        socket.consume(head);
        let read = StreamRead {
            stream_id,
            from,
            max: 512,
        };
        let reads = ReadStreams {
            reads: List::new(vec![read]).unwrap(),
            wait_s: 0,
        };
        socket.send(BINARY, &encode(&reads).unwrap()).await;
        // Each subscription is answered at once.
        let _ = socket.pages().await;
        socket
    }

    /// The next pages.
    pub async fn pages(&mut self) -> StreamPages {
        loop {
            let Some((opcode, header, length)) = self.frame() else {
                self.fill().await;
                continue;
            };
            if self.filled < header + length {
                self.fill().await;
                continue;
            }
            let payload = &self.buffer[header..header + length];
            let pages =
                (opcode == BINARY).then(|| match DsResponse::parse(payload).unwrap().body {
                    ResponseBody::Streams(pages) => pages,
                    other => panic!("unexpected: {other:?}"),
                });
            let ping = (opcode == PING).then(|| payload.to_vec());
            self.consume(header + length);
            if let Some(payload) = ping {
                self.send(PONG, &payload).await;
            } else {
                return pages.expect("the server ended the socket");
            }
        }
    }

    /// Opcode, length of the header, length of the payload of the frame at the front.
    fn frame(&self) -> Option<(u8, usize, usize)> {
        let received = &self.buffer[..self.filled];
        let [first, second, ..] = *received else {
            return None;
        };
        assert!(first & 0x80 != 0, "frames are whole");
        let (header, length) = match second {
            126 => (
                4,
                usize::from(u16::from_be_bytes(received.get(2..4)?.try_into().unwrap())),
            ),
            127 => (
                10,
                u64::from_be_bytes(received.get(2..10)?.try_into().unwrap()) as usize,
            ),
            short => (2, usize::from(short)),
        };
        Some((first & 0x0f, header, length))
    }

    async fn fill(&mut self) {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self
            .stream
            .read(&mut self.buffer[self.filled..])
            .await
            .unwrap();
        assert!(read > 0, "the server hung up");
        self.filled += read;
    }

    fn consume(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
    }

    /// A client masks what it sends; a mask of zeros is one, too.
    async fn send(&mut self, opcode: u8, payload: &[u8]) {
        assert!(payload.len() < 126);
        let length = payload.len() as u8;
        let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await.unwrap();
    }
}
