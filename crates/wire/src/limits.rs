//! Owns every limit of the protocol, as named constants in one place.
//!
//! Invariant: a parser refuses what is over a limit before it allocates for it.
//! Sizes are bytes unless the name says otherwise (units last).

/// The largest request, padding included.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// The largest answer, padding included: the tree and the roster of [`MAX_MEMBERS`] fit together.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The smallest request or answer after padding (design page 3.1).
pub const PADDING_FLOOR_BYTES: usize = 512;
/// The largest application message as an MLSMessage.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024;
/// The largest handshake message (a commit in a blank tree of 10,000 leaves is 0.8 MB).
pub const MAX_HANDSHAKE_BYTES: usize = 2 * 1024 * 1024;
/// The proposals of one commit together. A Remove of 7 bytes takes a hundred times as much in memory.
pub const MAX_COMMIT_PROPOSALS_BYTES: usize = 384 * 1024;
/// The largest exported ratchet tree.
pub const MAX_TREE_BYTES: usize = 7 * 1024 * 1024;
/// The largest GroupInfo without its tree.
pub const MAX_GROUP_INFO_BYTES: usize = 64 * 1024;
/// The largest Welcome.
pub const MAX_WELCOME_BYTES: usize = 512 * 1024;
/// The most leaves that one commit adds.
pub const MAX_ADDS: usize = 256;
/// The most members a group may have.
pub const MAX_MEMBERS: usize = 10_000;
/// The most identity entries one answer carries.
pub const MAX_ROSTER_ENTRIES: usize = 16_384;
/// The most generations a chain of wrappers spans in one answer.
pub const MAX_WRAPPERS: usize = 4_096;
/// The most proposals that may be pending at once (design page 3.2).
pub const MAX_PENDING_PROPOSALS: usize = 16;
/// Epochs after which a pending proposal is dropped.
pub const PENDING_PROPOSAL_EPOCHS: u64 = 2;
/// The most successive commits of one user while nobody else has opened the state (2.4, rule 2).
pub const MAX_CHAIN_COMMITS: usize = 8;
/// The most further sealings of one state by rekey (2.4, rule 2).
pub const MAX_REKEYS: usize = 4;
/// The most key requests parked in one place (2.4, rule 3).
pub const MAX_PARKED_KEY_REQUESTS: usize = 64;
/// Deliveries that one inbox accepts.
pub const MAX_INBOX_DELIVERIES: u8 = 4;
/// The largest delivery into an inbox, before sealing.
pub const MAX_INBOX_DELIVERY_BYTES: usize = 544 * 1024;
/// The longest life of an inbox in days.
pub const MAX_INBOX_DAYS: u32 = 90;
/// Streams read by one request.
pub const MAX_STREAM_READS: usize = 64;
/// Entries returned per stream in one answer.
pub const MAX_STREAM_ENTRIES: usize = 512;
/// Bytes of entries returned in one answer.
pub const MAX_STREAM_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The longest wait of a stream read, in seconds.
pub const MAX_STREAM_WAIT_S: u16 = 60;
/// How far a request's time may lie from the hub's, in seconds. Below `REPLAY_MEMORY_S` by design.
pub const MAX_TIME_SKEW_S: u64 = 600;
/// How long an outcome is remembered for a repeated request, in seconds.
pub const REPLAY_MEMORY_S: u64 = 3_600;
/// How long an outcome that was paid for is remembered for the same request with the same tokens.
pub const RECEIPT_MEMORY_S: u64 = 86_400;
/// The largest outcome: what a replay record keeps of an answer (design page 3.1).
pub const MAX_OUTCOME_BYTES: usize = 48;
/// The largest detail in an outcome, beside epoch, counter and the detail's length.
pub const MAX_OUTCOME_DETAIL_BYTES: usize = MAX_OUTCOME_BYTES - 8 - 8 - 1;
/// Clients floor every time they send to this many seconds: skew is a fingerprint.
pub const TIME_GRAIN_S: u64 = 60;
/// The longest URI.
pub const MAX_URI_BYTES: usize = 255;
/// The longest domain name.
pub const MAX_DOMAIN_BYTES: usize = 253;
/// The largest public key.
pub const MAX_PUBLIC_KEY_BYTES: usize = 256;
/// The largest signature.
pub const MAX_SIGNATURE_BYTES: usize = 256;
/// The plaintext of an identity link, always this size (design page 2.3).
pub const IDENTITY_LINK_BYTES: usize = 512;
/// The ciphertext of an identity link: plaintext and AES-256-GCM tag.
pub const IDENTITY_LINK_CIPHERTEXT_BYTES: usize = IDENTITY_LINK_BYTES + 16;
/// The largest sealed key object.
pub const MAX_KEY_OBJECT_BYTES: usize = 2_048;
/// Administrators that a policy summary names.
pub const MAX_ADMINS: usize = 64;
/// Epochs behind the current one in which a send may still be accepted, at most.
pub const MAX_EPOCH_TOLERANCE: u8 = 8;
/// Commit deltas since a snapshot, before the next becomes a snapshot (design page 3.3).
pub const MAX_DELTAS: usize = 32;
/// Joiners' snapshots kept at once.
pub const MAX_KEPT_SNAPSHOTS: usize = 64;
/// Days that a stream's entries live unless configured otherwise.
pub const STREAM_ENTRY_DAYS: u32 = 30;
/// Days that a tombstone lives.
pub const TOMBSTONE_DAYS: u32 = 365;
/// Days of activity after which a generation must move.
pub const GENERATION_MAX_DAYS: u32 = 30;
/// Tombstones of former generations in which a group looks for parked key requests.
pub const MAX_PARKING_PLACES: usize = 32;
/// Proposals in one request.
pub const MAX_PROPOSALS_PER_REQUEST: usize = 4;
/// Signed proofs for added leaves in a commit's authenticated data.
pub const MAX_LEAF_PROOFS: usize = MAX_ADDS;
/// The shortest handle.
pub const MIN_HANDLE_BYTES: usize = 2;
/// The longest handle. Shorter than a UUID, so no handle looks like a pseudonym.
pub const MAX_HANDLE_BYTES: usize = 32;
/// Devices of one account.
pub const MAX_ACCOUNT_CLIENTS: usize = 16;
/// The longest invitation code, as text.
pub const MAX_INVITATION_BYTES: usize = 128;
/// Connection requests that wait at one account.
pub const MAX_PENDING_CONNECTION_REQUESTS: usize = 64;
/// Days that a connection request waits.
pub const CONNECTION_REQUEST_DAYS: u32 = 30;
/// The plaintext of a connection request, always this size.
pub const CONNECTION_REQUEST_BYTES: usize = 2_048;
/// The ciphertext of a connection request: plaintext and AES-128-GCM tag.
pub const CONNECTION_REQUEST_CIPHERTEXT_BYTES: usize = CONNECTION_REQUEST_BYTES + 16;
/// Devices in one key-package set.
pub const MAX_SET_DEVICES: usize = MAX_ACCOUNT_CLIENTS;
/// Sets that one pool holds at once, complete or not: twice what clients keep, for replacement.
pub const MAX_POOL_SETS: usize = 8;
/// Complete sets that clients keep per contact.
pub const POOL_SETS: usize = 4;
/// Entries in one upload.
pub const MAX_SET_ENTRIES_PER_REQUEST: usize = MAX_POOL_SETS;
/// Tags of served sets that a pool remembers until their last day.
pub const MAX_SERVED_TAGS: usize = 256;
/// The plaintext of a set entry, always this size.
pub const SET_ENTRY_BYTES: usize = 3_072;
/// The ciphertext of a set entry: plaintext and AES-256-GCM tag.
pub const SET_ENTRY_CIPHERTEXT_BYTES: usize = SET_ENTRY_BYTES + 16;
/// Days after which a pool that nobody touched is forgotten, with what it has served.
pub const POOL_IDLE_DAYS: u32 = 365;
/// The longest life of a key-package set in days.
pub const MAX_SET_DAYS: u32 = 90;
/// The largest deposit in an inbox that was opened for deposits.
pub const MAX_DEPOSIT_BYTES: usize = 128 * 1024;
/// The largest request of the account world, padding included.
pub const MAX_ACCOUNT_BODY_BYTES: usize = 64 * 1024;
/// The largest content of an application message, before MLS.
pub const MAX_MEMBER_CONTENT_BYTES: usize = MAX_MESSAGE_BYTES - 1_024;
/// Tokens that one request spends, at most.
pub const MAX_TOKENS_PER_REQUEST: usize = 8;
/// Tokens that one request for tokens of type 0x0005 draws, at most.
pub const MAX_TOKEN_BATCH_RISTRETTO255: usize = 512;
/// The same for type 0x0001, of which one costs twenty times the processor time.
pub const MAX_TOKEN_BATCH_P384: usize = 32;
/// The same for type 0x0002.
pub const MAX_TOKEN_BATCH_BLIND_RSA: usize = 32;
/// Issuer keys that may live at once for one class and type: N keys are log2(N) bits of tracking.
pub const MAX_LIVE_TOKEN_KEYS: usize = 3;
/// How long after its epoch a token is still taken, in seconds.
pub const TOKEN_GRACE_S: u64 = 2 * 3_600;
/// The largest WWW-Authenticate header that a client reads.
pub const MAX_CHALLENGE_HEADER_BYTES: usize = 16 * 1024;
/// The most challenges in one of them.
pub const MAX_CHALLENGES_PER_HEADER: usize = 16;
/// The largest Authorization header that an origin reads.
pub const MAX_AUTHORIZATION_HEADER_BYTES: usize = 2 * 1024;
/// The most parameters of one challenge or of the credentials.
pub const MAX_AUTH_PARAMETERS: usize = 16;
/// The largest issuer directory that a client reads.
pub const MAX_TOKEN_DIRECTORY_BYTES: usize = 64 * 1024;
/// The most keys in one.
pub const MAX_TOKEN_DIRECTORY_KEYS: usize = 64;
/// The largest price list that a client reads.
pub const MAX_PRICE_LIST_BYTES: usize = 16 * 1024;
/// The largest token: Blind RSA with a key of 2,048 bits.
pub const MAX_TOKEN_BYTES: usize = 98 + 256;
/// The largest `TokenChallenge`: issuer name, redemption context, origin.
pub const MAX_TOKEN_CHALLENGE_BYTES: usize =
    2 + 2 + MAX_DOMAIN_BYTES + 1 + 32 + 2 + MAX_DOMAIN_BYTES;
/// The largest request for a batch: type, key, length, elements.
pub const MAX_BATCH_REQUEST_BYTES: usize = 2 + 1 + 4 + MAX_TOKEN_BATCH_RISTRETTO255 * 49;
/// The largest batch: length, elements, proof.
pub const MAX_BATCH_RESPONSE_BYTES: usize = 4 + MAX_TOKEN_BATCH_RISTRETTO255 * 49 + 2 * 48;
