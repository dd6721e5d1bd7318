//! Values of accounts, connections, key-package sets and member content.

use crate::model::{Model, Node};
use crate::sample::{Build, Sample, Source, Variants};
use sordino_wire::*;

impl Sample for Handle {
    fn sample(source: &mut Source) -> Self {
        let length = source.length(2, 32);
        let letters = source.fill(length).into_iter();
        let letters = letters.map(|b| char::from(b'a' + b % 26));
        Self::new(letters.collect::<String>()).unwrap()
    }
}

wire_struct! {
    SignedConnectionKey { hpke_key, signature }
    ConnectionKeyTbs { user, account_key, hpke_key }
    AccountEntry { account_key, connection_key }
    AccountKeyChange { user, old_key, new_key, old_signature, new_signature }
    AccountKeyChangeTbs { user, old_key, new_key }
    ProofOfWorkContent { challenge, handle, account_key, solution }
    Register { admission, credential, connection_key }
    ReplaceAccountKey { change, clients, connection_key }
    SendConnectionRequest { handle, request }
    ReadConnectionRequests { from, wait_s }
    SettleConnectionRequests { hashes }
    AccountRequestTbs { version, domain, handle, client_key, time_s, nonce, body_hash }
    AccountView { entry, clients }
    SealedConnectionRequest { kem_output, ciphertext }
    ConnectionRequest {
        request_id, recipient, recipient_key_hash, time_s, key_object, signature,
    }
    ConnectionRequestTbs { request_id, recipient, recipient_key_hash, time_s, key_object_hash }
    ContactKeys { contact_key, contact_token }
    SetEntry { set_tag, device_tag, devices, cipher_suite, last_day, salt, ciphertext }
    SetEntryContext { salt, set_tag, device_tag, cipher_suite, last_day }
    PublishKeyPackages { contact_token, owner_secret, entries, drop }
    DropKeyPackages { contact_token, owner_secret }
    FetchKeyPackages { contact_token, nonce }
    InspectKeyPackages { contact_token, owner_secret }
    FetchedSet { entries, left }
    SetState { set_tag, device_tags, devices, last_day }
    PoolState { sets, served }
}

wire_enum!(Admission: u8 { 1 => Invitation(code), 2 => ProofOfWork { challenge, solution } });
wire_enum!(AdmissionTerms: u8 {
    1 => Invitation, 2 => ProofOfWork { challenge, difficulty_bits }, 3 => Closed,
});
wire_enum!(AccountRequestBody: u16 {
    1 => AdmissionTerms,
    2 => Register(body),
    3 => ReadAccount,
    4 => PutClient(body),
    5 => ReplaceAccountKey(body),
    6 => ReplaceConnectionKey(body),
    7 => DeleteAccount(signature),
    8 => ReadConnectionRequests(body),
    9 => SettleConnectionRequests(body),
    10 => DrawTokens(body),
    11 => TokenTerms,
    32 => LookUp(handle),
    33 => SendConnectionRequest(body),
});
wire_enum!(AccountAuthentication: u8 {
    0 => Nobody,
    1 => Client { handle, client_key, time_s, nonce, signature },
});
wire_enum!(AccountReject: u16 {
    1 => Malformed,
    2 => UnsupportedVersion { supported },
    3 => TooLarge { limit },
    4 => BadAuthentication,
    5 => StaleTime { hub_time_s },
    6 => Replayed,
    7 => HandleTaken,
    8 => InvitationInvalid,
    9 => ProofOfWorkInvalid,
    10 => OtherAdmission,
    11 => InvalidCredential,
    12 => LimitReached { limit },
    14 => RateLimited { retry_after_s },
    15 => Unavailable { retry_after_s },
    16 => WrongEndpoint,
    17 => TokenRequired { price, challenge },
    18 => TokenInvalid { index },
    19 => DoubleSpent { index },
    20 => EpochClosed,
    21 => InvalidBatch,
    22 => AlreadyDrawn,
});
wire_enum!(AccountResponseBody: u16 {
    0 => Rejected(body),
    1 => Done,
    2 => AdmissionTerms(body),
    3 => Account(body),
    4 => Entry(body),
    5 => ConnectionRequests(body),
    6 => TokenTerms(body),
    7 => Tokens(body),
});
wire_enum!(MemberContent: u16 {
    1 => Application(contents),
    2 => ContactKeys(keys),
    3 => Invite(link),
    4 => AccountKeyChange(change),
    5 => Devices(contents),
});
