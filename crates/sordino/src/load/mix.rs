//! Owns what is done how often.

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// An application message.
    Send,
    /// Reading a group's stream from some place, without waiting.
    Read,
    /// An update with a path.
    Commit,
    /// A member coming in from outside, in place of its former leaf.
    Join,
    /// A new group.
    Create,
}

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Send,
        Self::Read,
        Self::Commit,
        Self::Join,
        Self::Create,
    ];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Commit => "commit",
            Self::Join => "external join",
            Self::Create => "create group",
        }
    }
}

/// How often which operation comes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Mix {
    /// Messages alone
    Sends,
    /// What people do who talk
    Chat,
    /// What costs a hub most
    Churn,
}

impl Mix {
    /// In a thousand operations, in the order of [`Operation::ALL`].
    fn shares(self) -> [u64; 5] {
        match self {
            Self::Sends => [1_000, 0, 0, 0, 0],
            Self::Chat => [880, 100, 15, 3, 2],
            Self::Churn => [200, 100, 400, 200, 100],
        }
    }

    /// The next operation.
    pub(crate) fn draw(self, rng: &mut ChaCha20Rng) -> Operation {
        let mut left = rng.next_u64() % 1_000;
        for (operation, share) in Operation::ALL.into_iter().zip(self.shares()) {
            if left < share {
                return operation;
            }
            left -= share;
        }
        Operation::Send
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng as _;

    #[test]
    fn shares_are_parts_of_a_thousand() {
        for mix in [Mix::Sends, Mix::Chat, Mix::Churn] {
            assert_eq!(mix.shares().iter().sum::<u64>(), 1_000);
        }
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        assert_eq!(Mix::Sends.draw(&mut rng), Operation::Send);
        let drawn: Vec<_> = (0..200).map(|_| Mix::Churn.draw(&mut rng)).collect();
        assert!(Operation::ALL.iter().all(|o| drawn.contains(o)));
    }
}
