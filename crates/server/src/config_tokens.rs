//! Owns the parts of the configuration about tokens and numbers.
//!
//! Invariant: as in [`crate::Config`]: what is unknown or out of range is refused.

use crate::config::{ConfigError, within};
use crate::settings::{PublicQuota, TokenSettings, free_prices, small_prices};
use serde::Deserialize;
use sordino_tokens::{Operation, Price, PriceList, TokenClass};
use sordino_wire::limits::{MAX_TOKEN_BATCH_RISTRETTO255, MAX_TOKENS_PER_REQUEST};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `[tokens]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensSection {
    /// What things cost, but for what `prices` says.
    pub price_list: PriceListChoice,
    /// What single things cost.
    pub prices: BTreeMap<String, PriceSection>,
    /// Tokens of the class `write` that an account draws, for each week of an epoch.
    pub write_per_week: usize,
    /// Tokens of the class `contact` that an account draws, for each week of an epoch.
    pub contact_per_week: usize,
    /// The length of epochs; without it, by the number of accounts that draw.
    pub epoch_hours: Option<u32>,
    /// Tokens per hour for clients without an account, all together.
    pub public_per_hour: u32,
    /// Tokens per hour for clients without an account, of one network.
    pub public_per_network_per_hour: u32,
}

impl Default for TokensSection {
    fn default() -> Self {
        let TokenSettings {
            write_per_week,
            contact_per_week,
            ..
        } = TokenSettings::default();
        Self {
            price_list: PriceListChoice::Standard,
            prices: BTreeMap::new(),
            write_per_week,
            contact_per_week,
            epoch_hours: None,
            public_per_hour: 0,
            public_per_network_per_hour: 10,
        }
    }
}

/// A price list to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceListChoice {
    /// For hubs that anybody can reach.
    Standard,
    /// One token each, for development.
    Small,
    /// Nothing costs anything.
    Free,
}

impl PriceListChoice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Small, Self::Free];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Small => "small",
            Self::Free => "free",
        }
    }

    /// The list.
    pub fn list(self) -> PriceList {
        match self {
            Self::Standard => PriceList::default(),
            Self::Small => small_prices(),
            Self::Free => free_prices(),
        }
    }
}

/// `[tokens.prices.<operation>]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSection {
    /// Which tokens.
    pub class: TokenClass,
    /// How many; 0: it is free.
    pub tokens: u8,
    /// For how many of what is counted.
    #[serde(default = "one")]
    pub per: u16,
}

fn one() -> u16 {
    1
}

/// `[metrics]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSection {
    /// Where numbers are shown; without it, nowhere.
    pub listen: Option<SocketAddr>,
}

impl TokensSection {
    pub(crate) fn settings(self) -> Result<TokenSettings, ConfigError> {
        Ok(TokenSettings {
            prices: self.price_list()?,
            write_per_week: self.write_per_week,
            contact_per_week: self.contact_per_week,
            epoch_s: self.epoch_hours.map(|hours| u64::from(hours) * 3_600),
            public: (self.public_per_hour > 0).then_some(PublicQuota {
                tokens_per_hour: self.public_per_hour,
                // One network cannot get more than all.
                tokens_per_network_per_hour: self
                    .public_per_network_per_hour
                    .min(self.public_per_hour),
            }),
        })
    }

    fn price_list(&self) -> Result<PriceList, ConfigError> {
        let mut list = self.price_list.list();
        for (name, section) in &self.prices {
            let mut known = Operation::ALL.iter();
            let operation = known.find(|operation| operation.name() == name);
            let operation = operation.ok_or_else(|| ConfigError::Unknown {
                key: "tokens.prices",
                name: name.clone(),
            })?;
            let PriceSection { class, tokens, per } = *section;
            let price = match tokens {
                0 => Price::Free,
                tokens => Price::Tokens { class, tokens, per },
            };
            let most = u64::try_from(MAX_TOKENS_PER_REQUEST).unwrap_or(u64::MAX);
            within("tokens.prices", u64::from(tokens), 0..=most)?;
            within("tokens.prices", u64::from(per), 1..=u64::from(u16::MAX))?;
            list = list
                .with(*operation, price)
                .map_err(|_| ConfigError::Unknown {
                    key: "tokens.prices",
                    name: name.clone(),
                })?;
        }
        Ok(list)
    }
}

impl TokenSettings {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let most = u64::try_from(MAX_TOKEN_BATCH_RISTRETTO255).unwrap_or(u64::MAX);
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        within(
            "tokens.write_per_week",
            number(self.write_per_week),
            1..=most,
        )?;
        within(
            "tokens.contact_per_week",
            number(self.contact_per_week),
            1..=most,
        )?;
        if let Some(epoch_s) = self.epoch_s {
            // Window keys reach 90 days ahead, and a key is made an epoch before its own.
            // Clients draw with no key of less than a day (design page 4).
            within("tokens.epoch_hours", epoch_s / 3_600, 24..=720)?;
        }
        if let Some(public) = self.public {
            let per_network = u64::from(public.tokens_per_network_per_hour);
            let per_hour = u64::from(public.tokens_per_hour);
            within("tokens.public_per_hour", per_hour, 1..=1_000_000)?;
            within(
                "tokens.public_per_network_per_hour",
                per_network,
                1..=per_hour,
            )?;
        }
        Ok(())
    }
}
