//! Owns HTTP/1.1 clients that cost little, since they share the machine with the server: one that
//! blocks, to make groups, and one for many connections at once.

use crate::transport::Transport;
use sordino_hub::Endpoint;
use sordino_wire::{Domain, DsResponse, ResponseBody, SignatureKey, media};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn path(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::GroupOperation => media::GROUP_OPERATION,
        Endpoint::WelcomeInformation => media::WELCOME_INFORMATION,
        Endpoint::ExternalCommitInformation => media::EXTERNAL_COMMIT_INFORMATION,
        Endpoint::Streams => media::STREAMS,
        Endpoint::Inboxes => media::INBOXES,
        Endpoint::GroupKeyPackages => media::GROUP_KEY_PACKAGES,
        Endpoint::TokenTerms => media::TOKEN_TERMS,
    }
}

fn rendered(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        media::OCTETS,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// One request on a connection of its own to a hub that may be gone at any moment.
///
/// # Errors
/// There is no whole answer.
pub fn try_post(address: SocketAddr, path: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(&rendered(path, body))?;
    read_answer(&mut stream)
}

/// The body of the next answer.
fn read_answer(stream: &mut std::net::TcpStream) -> std::io::Result<Vec<u8>> {
    let mut received = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut range = None;
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&chunk[..read]);
        range = range.or_else(|| body_range(&received));
        match &range {
            Some(range) if received.len() >= range.end => {
                return Ok(received[range.clone()].to_vec());
            }
            _ => {}
        }
    }
}

/// Where the body of an answer begins and ends, once the head is there.
fn body_range(received: &[u8]) -> Option<std::ops::Range<usize>> {
    let head = received.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&received[..head]).unwrap();
    // A refusal of another status has a typed body as well.
    let typed = format!("content-type: {}\r\n", media::OCTETS);
    assert!(
        text.starts_with("HTTP/1.1 200") || text.contains(&typed),
        "{text}"
    );
    let length = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        })
        .unwrap();
    Some(head..head + length.parse::<usize>().unwrap())
}

/// One connection that blocks.
pub struct Http {
    stream: std::net::TcpStream,
    domain: Domain,
    signature_key: SignatureKey,
}

impl Http {
    /// Connects, and asks the server who it is.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut http = Self {
            stream,
            domain: Domain::new(address.to_string()).unwrap(),
            signature_key: SignatureKey::new(vec![0; 32]).unwrap(),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n",
            media::DIRECTORY
        );
        let directory = String::from_utf8(http.send(request.as_bytes())).unwrap();
        let field = |name: &str| {
            let begin = directory.find(&format!(r#""{name}":""#)).unwrap() + name.len() + 4;
            let end = begin + directory[begin..].find('"').unwrap();
            directory[begin..end].to_owned()
        };
        http.domain = Domain::new(field("domain")).unwrap();
        let key = hex::decode(field("hub_signature_key")).unwrap();
        http.signature_key = SignatureKey::new(key).unwrap();
        http
    }

    fn send(&mut self, request: &[u8]) -> Vec<u8> {
        self.stream.write_all(request).unwrap();
        read_answer(&mut self.stream).unwrap()
    }
}

impl Transport for Http {
    fn domain(&self) -> Domain {
        self.domain.clone()
    }

    fn signature_key(&self) -> SignatureKey {
        self.signature_key.clone()
    }

    fn exchange(&mut self, endpoint: Endpoint, request: &[u8]) -> ResponseBody {
        let answer = self.send(&rendered(path(endpoint), request));
        DsResponse::parse(&answer).unwrap().body
    }
}

/// One of many connections, with one request in flight.
pub struct Lane {
    stream: tokio::net::TcpStream,
    buffer: Vec<u8>,
}

impl Lane {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 16 * 1024],
        }
    }

    /// A whole HTTP request for [`Self::send`].
    pub fn render(endpoint: Endpoint, body: &[u8]) -> Vec<u8> {
        rendered(path(endpoint), body)
    }

    /// Sends a rendered request, and waits until it is done.
    pub async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
            let received = &self.buffer[..filled];
            if let Some(range) = body_range(received).filter(|range| range.end <= filled) {
                // uint16 version; uint16 type, which is 1 for what is done.
                assert_eq!(received[range][2..4], [0, 1], "refused");
                return;
            }
        }
    }
}
