//! A group by requests alone, and what a hub must answer about it.

use sordino_benches::{BigGroup, Change, Http, SendTemplate, Transport as _};
use sordino_hub::Endpoint;
use sordino_wire::{
    Authentication, DsRequest, List, ReadStreams, Reject, RequestBody, ResponseBody, StreamId,
    StreamRead,
};
use std::net::SocketAddr;

const MESSAGE_BYTES: usize = 300;

/// A group that somebody with its keys looks at.
pub struct WireGroup {
    sender: SendTemplate,
    stream_id: StreamId,
    from: u64,
    reads: Vec<(Endpoint, Vec<u8>)>,
}

impl WireGroup {
    /// Makes a group with a past: members by Adds and by external commits, a generation that moved,
    /// commits since, and a few messages.
    pub fn make(address: SocketAddr, messages: usize) -> Self {
        Self::with_messages(address, 1, messages, MESSAGE_BYTES)
    }

    /// The same with another number and messages of another size.
    pub fn with_messages(
        address: SocketAddr,
        number: u64,
        messages: usize,
        message_bytes: usize,
    ) -> Self {
        let mut http = Http::connect(address);
        let mut group = BigGroup::populated(&mut http, number, 6);
        let from = group.stream_next(&mut http);
        group.commit(&mut http, &Change::Update);
        group.commit(&mut http, &Change::Add(20..22));
        let mut sender = group.message(message_bytes);
        let inspect = RequestBody::InspectMembership(group.access());
        let external = RequestBody::ExternalCommitInformation(group.access());
        let reads = vec![
            (Endpoint::Streams, read_stream(group.stream(), from)),
            (Endpoint::ExternalCommitInformation, encoded(inspect)),
            (Endpoint::ExternalCommitInformation, encoded(external)),
        ];
        let mut rng = rng();
        for _ in 0..messages {
            assert!(send(&mut http, &mut sender, &mut rng));
        }
        Self {
            sender,
            stream_id: group.stream(),
            from,
            reads,
        }
    }

    /// What to ask, and where.
    pub fn reads(&self) -> &[(Endpoint, Vec<u8>)] {
        &self.reads
    }

    /// What a hub answers.
    pub fn look(&self, address: SocketAddr) -> Vec<ResponseBody> {
        look(address, &self.reads)
    }

    /// How many entries the stream has, which are numbered without a gap.
    pub fn entries(&self, address: SocketAddr) -> usize {
        let mut http = Http::connect(address);
        let mut next = self.from;
        loop {
            let request = read_stream(self.stream_id, next);
            let page = match http.exchange(Endpoint::Streams, &request) {
                ResponseBody::Streams(pages) => pages.pages.into_vec().remove(0),
                other => panic!("no page: {other:?}"),
            };
            for entry in page.entries.as_slice() {
                assert_eq!(entry.number, next, "a gap");
                next += 1;
            }
            if next == page.next {
                return usize::try_from(next - self.from).unwrap();
            }
            assert!(
                !page.entries.as_slice().is_empty(),
                "the stream stops short"
            );
        }
    }

    /// Sends messages until one is not taken, at most `most`. Returns how many were.
    pub fn send_until_refused(&mut self, address: SocketAddr, most: usize) -> usize {
        let mut http = Http::connect(address);
        let mut rng = rng();
        (0..most)
            .take_while(|_| send(&mut http, &mut self.sender, &mut rng))
            .count()
    }
}

/// What a hub answers.
pub fn look(address: SocketAddr, reads: &[(Endpoint, Vec<u8>)]) -> Vec<ResponseBody> {
    let mut http = Http::connect(address);
    let reads = reads.iter();
    reads
        .map(|(endpoint, request)| http.exchange(*endpoint, request))
        .collect()
}

fn read_stream(stream_id: StreamId, from: u64) -> Vec<u8> {
    let read = StreamRead {
        stream_id,
        from,
        max: 512,
    };
    encoded(RequestBody::ReadStreams(ReadStreams {
        reads: List::new(vec![read]).unwrap(),
        wait_s: 0,
    }))
}

fn encoded(body: RequestBody) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest { body, auth }.encode().unwrap()
}

/// Another nonce each time, in whichever process.
fn rng() -> rand_chacha::ChaCha20Rng {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    rand_core::SeedableRng::from_seed(seed)
}

fn send(http: &mut Http, sender: &mut SendTemplate, rng: &mut rand_chacha::ChaCha20Rng) -> bool {
    match http.exchange(Endpoint::GroupOperation, &sender.next(rng)) {
        ResponseBody::Done(_) => true,
        ResponseBody::Rejected(Reject::Unavailable { .. }) => false,
        other => panic!("unexpected: {other:?}"),
    }
}
