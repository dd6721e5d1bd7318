//! Owns what lets somebody register (design page 5): a code from the operator, or work.
//!
//! Invariant: a code serves one registration. A piece of work is for one challenge, handle and key,
//! so it serves one registration too, since a handle is registered once; challenges are not counted.

use crate::outcome::{Refusal, Step};
use crate::{Registration, Shared};
use sordino_crypto::{Invitation, Space, check_proof_of_work};
use sordino_effects::{Env, Fault, Records, address};
use sordino_wire::{
    AccountReject, AccountResponseBody, Admission, AdmissionTerms, Bytes, Handle,
    ProofOfWorkContent, SignatureKey,
};

/// Hours after the one in which a challenge was made, in which work on it is taken.
const CHALLENGE_HOURS: u32 = 1;

/// What this provider asks for.
pub(crate) fn terms(shared: &Shared, env: &mut Env<'_>) -> Result<Step, Refusal> {
    let terms = match shared.config.registration {
        Registration::Invitation => AdmissionTerms::Invitation,
        Registration::Closed => AdmissionTerms::Closed,
        Registration::ProofOfWork { difficulty_bits } => {
            let key = shared.admission_keys.first().ok_or(Fault::Crypto)?;
            let challenge = key.make_challenge(env.hour(), env.rng)?;
            AdmissionTerms::ProofOfWork {
                challenge,
                difficulty_bits,
            }
        }
    };
    Ok(Step::Answer(AccountResponseBody::AdmissionTerms(terms)))
}

/// Whether an admission is good now. Gives the invitation that it uses up.
pub(crate) fn check(
    shared: &Shared,
    records: &dyn Records,
    env: &Env<'_>,
    admission: &Admission,
    handle: &Handle,
    account_key: &SignatureKey,
) -> Result<Option<Invitation>, Refusal> {
    match (admission, shared.config.registration) {
        (Admission::Invitation(code), Registration::Invitation) => {
            check_invitation(shared, records, env, code.as_slice()).map(Some)
        }
        (
            Admission::ProofOfWork {
                challenge,
                solution,
            },
            Registration::ProofOfWork { difficulty_bits },
        ) => {
            let work = ProofOfWorkContent {
                challenge: challenge.clone(),
                handle: handle.clone(),
                account_key: account_key.clone(),
                solution: *solution,
            };
            check_work(shared, env, challenge, &work, difficulty_bits)?;
            Ok(None)
        }
        _ => Err(AccountReject::OtherAdmission.into()),
    }
}

fn check_invitation(
    shared: &Shared,
    records: &dyn Records,
    env: &Env<'_>,
    code: &[u8],
) -> Result<Invitation, Refusal> {
    let mut keys = shared.admission_keys.iter();
    let invitation = keys.find_map(|key| key.open_invitation(code).ok());
    let invitation = invitation.ok_or(AccountReject::InvitationInvalid)?;
    let mark = address(&shared.outer, Space::Invitation, &invitation.id)?;
    let spent = records.get(&mark.store_key)?.is_some();
    if spent || invitation.last_day < env.today() {
        return Err(AccountReject::InvitationInvalid.into());
    }
    Ok(invitation)
}

fn check_work(
    shared: &Shared,
    env: &Env<'_>,
    challenge: &Bytes<1, 128>,
    work: &ProofOfWorkContent,
    difficulty_bits: u8,
) -> Result<(), Refusal> {
    let mut keys = shared.admission_keys.iter();
    let made = keys.find_map(|key| key.open_challenge(challenge.as_slice()).ok());
    let made = made.ok_or(AccountReject::ProofOfWorkInvalid)?;
    let hour = env.hour();
    let fresh = made <= hour && hour <= made.saturating_add(CHALLENGE_HOURS);
    if !fresh || !check_proof_of_work(work, difficulty_bits)? {
        return Err(AccountReject::ProofOfWorkInvalid.into());
    }
    Ok(())
}
