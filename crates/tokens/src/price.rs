//! Owns what operations cost (design page 4), in a form that clients fetch and operators write.
//!
//! Invariant: every operation has exactly one price, and no price is more than a request can carry.

use crate::kind::TokenClass;
use serde::{Deserialize, Serialize};
use sordino_wire::limits::{MAX_PRICE_LIST_BYTES, MAX_TOKENS_PER_REQUEST};
use std::collections::{BTreeMap, BTreeSet};

/// Media type of a price list.
pub const PRICE_LIST: &str = "application/json";

/// Declares operations with their names on the wire.
macro_rules! operations {
    ($($(#[$doc:meta])* $operation:ident = $name:literal;)+) => {
        /// What may cost tokens, or is free for a reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $($(#[$doc])* $operation,)+
        }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$operation),+];

            /// The name in a price list.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)+
                }
            }
        }
    };
}

operations! {
    /// Creating a group.
    CreateGroup = "create-group";
    /// Joining an open group, or one by an invite link.
    Join = "join";
    /// Opening the stream of a follower.
    OpenFollowerStream = "open-follower-stream";
    /// Opening inboxes; units are inboxes.
    OpenInboxes = "open-inboxes";
    /// Publishing key-package sets; units are entries.
    PublishKeyPackages = "publish-key-packages";
    /// Fetching a key-package set.
    FetchKeyPackages = "fetch-key-packages";
    /// Looking a handle up.
    LookUpHandle = "look-up-handle";
    /// Asking somebody for a connection.
    RequestConnection = "request-connection";
    /// Sending anonymously to a group that has spent its budget.
    SendOverBudget = "send-over-budget";
    /// What a member does in its group.
    MemberOperation = "member-operation";
    /// Replacing the own leaf.
    Resync = "resync";
    /// Sealing a state anew.
    Rekey = "rekey";
    /// Asking members for keys.
    KeyRequest = "key-request";
    /// Joining by a Welcome.
    JoinByWelcome = "join-by-welcome";
    /// Adding a device of one's own.
    AddOwnDevice = "add-own-device";
}

/// What an operation costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// Nothing.
    Free,
    /// `tokens` of a class for every `per` units begun.
    Tokens {
        /// Their class.
        class: TokenClass,
        /// How many, 1 to 8.
        tokens: u8,
        /// For how many units, at least 1.
        per: u16,
    },
}

/// What one request has to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The class.
    pub class: TokenClass,
    /// How many tokens, 1 to 8.
    pub tokens: usize,
}

impl Price {
    /// What a request of so many units has to carry: nothing if it is free or of no units.
    ///
    /// An error if it would be more than a request can: it has to be split.
    pub fn due(&self, units: usize) -> Result<Option<Due>, PriceListRefused> {
        let Self::Tokens { class, tokens, per } = *self else {
            return Ok(None);
        };
        let times = units.div_ceil(usize::from(per.max(1)));
        match times.checked_mul(usize::from(tokens)) {
            Some(0) => Ok(None),
            Some(tokens) if tokens <= MAX_TOKENS_PER_REQUEST => Ok(Some(Due { class, tokens })),
            _ => Err(PriceListRefused::Amount),
        }
    }
}

/// Why something is no price list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceListRefused {
    /// Not JSON of the right shape, or too long.
    #[error("the price list is malformed")]
    Malformed,
    /// Another version than 1.
    #[error("the price list has a version that is not spoken here")]
    Version,
    /// An operation has no price, or two.
    #[error("the price list does not give every operation one price")]
    Operations,
    /// A price of nothing, or of more than a request can carry.
    #[error("a price is outside its bounds")]
    Amount,
}

/// The prices of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PriceList(BTreeMap<Operation, Price>);

impl Default for PriceList {
    fn default() -> Self {
        let all = Operation::ALL.iter();
        Self(all.map(|op| (*op, default_price(*op))).collect())
    }
}

/// The price that the design gives an operation.
const fn default_price(operation: Operation) -> Price {
    use TokenClass::{Contact, Write};
    match operation {
        Operation::CreateGroup => tokens(Write, 5, 1),
        Operation::Join => tokens(Write, 2, 1),
        Operation::OpenFollowerStream => tokens(Write, 1, 1),
        Operation::OpenInboxes | Operation::PublishKeyPackages => tokens(Write, 1, 4),
        Operation::SendOverBudget => tokens(Write, 1, 1),
        Operation::FetchKeyPackages | Operation::LookUpHandle => tokens(Contact, 1, 1),
        Operation::RequestConnection => tokens(Contact, 2, 1),
        Operation::MemberOperation
        | Operation::Resync
        | Operation::Rekey
        | Operation::KeyRequest
        | Operation::JoinByWelcome
        | Operation::AddOwnDevice => Price::Free,
    }
}

const fn tokens(class: TokenClass, tokens: u8, per: u16) -> Price {
    Price::Tokens { class, tokens, per }
}

impl PriceList {
    /// The price of an operation.
    pub fn price(&self, operation: Operation) -> Price {
        let listed = self.0.get(&operation).copied();
        // Every operation is in every list.
        listed.unwrap_or(default_price(operation))
    }

    /// The same list with another price.
    pub fn with(mut self, operation: Operation, price: Price) -> Result<Self, PriceListRefused> {
        check(&price)?;
        self.0.insert(operation, price);
        Ok(self)
    }

    /// The JSON that clients fetch: `{"version": 1, "prices": {name: {"class", "tokens", "per"}},
    /// "free": [name]}`.
    pub fn to_json(&self) -> String {
        // The form has string keys and numbers alone, so writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a price list of at most 16 KiB. Operations that are not known here are skipped.
pub fn parse_price_list(json: &[u8]) -> Result<PriceList, PriceListRefused> {
    if json.len() > MAX_PRICE_LIST_BYTES {
        return Err(PriceListRefused::Malformed);
    }
    let written: Written = serde_json::from_slice(json).map_err(|_| PriceListRefused::Malformed)?;
    written.try_into()
}

fn check(price: &Price) -> Result<(), PriceListRefused> {
    match *price {
        Price::Free => Ok(()),
        Price::Tokens { tokens, per, .. } => {
            let is_bounded = (1..=MAX_TOKENS_PER_REQUEST).contains(&usize::from(tokens));
            let is_price = is_bounded && per > 0;
            is_price.then_some(()).ok_or(PriceListRefused::Amount)
        }
    }
}

const VERSION: u32 = 1;

#[derive(Clone, Serialize, Deserialize)]
struct Written {
    version: u32,
    prices: BTreeMap<String, WrittenPrice>,
    #[serde(default)]
    free: BTreeSet<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WrittenPrice {
    class: TokenClass,
    tokens: u8,
    #[serde(default = "one")]
    per: u16,
}

const fn one() -> u16 {
    1
}

impl From<PriceList> for Written {
    fn from(list: PriceList) -> Self {
        let mut written = Self {
            version: VERSION,
            prices: BTreeMap::new(),
            free: BTreeSet::new(),
        };
        for (operation, price) in list.0 {
            let name = operation.name().to_owned();
            match price {
                Price::Free => {
                    written.free.insert(name);
                }
                Price::Tokens { class, tokens, per } => {
                    let price = WrittenPrice { class, tokens, per };
                    written.prices.insert(name, price);
                }
            }
        }
        written
    }
}

impl TryFrom<Written> for PriceList {
    type Error = PriceListRefused;

    fn try_from(written: Written) -> Result<Self, PriceListRefused> {
        if written.version != VERSION {
            return Err(PriceListRefused::Version);
        }
        let mut list = BTreeMap::new();
        for operation in Operation::ALL {
            let priced = written.prices.get(operation.name());
            let price = match (priced, written.free.contains(operation.name())) {
                (Some(price), false) => tokens(price.class, price.tokens, price.per),
                (None, true) => Price::Free,
                _ => return Err(PriceListRefused::Operations),
            };
            check(&price)?;
            list.insert(*operation, price);
        }
        Ok(Self(list))
    }
}
