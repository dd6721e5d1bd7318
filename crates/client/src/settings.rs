//! Owns how a group is set up.
//!
//! Invariant: the defaults are the careful ones: closed, anonymous senders, identities for members.

use sordino_crypto::sha256;
use sordino_wire::{
    Digest, IdentityRule, JoinRule, List, POLICY_FORMAT, Permission, PolicySummary, SenderRule,
};

/// What a new group is to be like.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    pub(crate) policy: PolicySummary,
    pub(crate) invite_code: Option<Digest>,
    pub(crate) creator_is_admin: bool,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            policy: PolicySummary {
                format: POLICY_FORMAT,
                add: Permission::Members,
                remove: Permission::Members,
                change_policy: Permission::Members,
                send: Permission::Members,
                destroy: Permission::Members,
                join: JoinRule::Closed,
                senders: SenderRule::Anonymous,
                identities: IdentityRule::All,
                epoch_tolerance: 3,
                max_members: 1_000,
                invite_code_hash: None,
                admins: List::default(),
            },
            invite_code: None,
            creator_is_admin: false,
        }
    }
}

impl GroupSettings {
    /// Members add and remove each other; nobody comes in from outside.
    pub fn closed() -> Self {
        Self::default()
    }

    /// Whoever has the invite link comes in. The code is drawn when the group is made.
    pub fn by_invite() -> Self {
        let mut settings = Self::default();
        settings.policy.join = JoinRule::Invite;
        settings
    }

    /// Whoever has the room's keys comes in.
    pub fn open() -> Self {
        let mut settings = Self::default();
        settings.policy.join = JoinRule::Open;
        settings
    }

    /// Two users: this one, and whoever gets the link.
    pub fn connection() -> Self {
        let mut settings = Self::default();
        settings.policy.join = JoinRule::Connection;
        settings
    }

    /// A policy of one's own. `invite_code` is needed where it admits by invite.
    pub fn with_policy(policy: PolicySummary, invite_code: Option<Digest>) -> Self {
        Self {
            policy,
            invite_code,
            creator_is_admin: false,
        }
    }

    /// Nobody's identity is shown.
    #[must_use]
    pub fn without_identities(mut self) -> Self {
        self.policy.identities = IdentityRule::None;
        self
    }

    /// Senders sign, so that the policy can say who sends.
    #[must_use]
    pub fn with_named_senders(mut self) -> Self {
        self.policy.senders = SenderRule::Leaf;
        self
    }

    /// Adding, removing, policy and destruction are the creator's.
    #[must_use]
    pub fn moderated(mut self) -> Self {
        self.policy.add = Permission::Admins;
        self.policy.remove = Permission::Admins;
        self.policy.change_policy = Permission::Admins;
        self.policy.destroy = Permission::Admins;
        self.creator_is_admin = true;
        self
    }

    /// The most leaves.
    #[must_use]
    pub fn with_max_members(mut self, max_members: u32) -> Self {
        self.policy.max_members = max_members;
        self
    }

    /// Draws the invite code that the policy lacks.
    pub(crate) fn complete(&mut self, fresh_code: [u8; 32]) {
        if self.policy.join == JoinRule::Invite && self.policy.invite_code_hash.is_none() {
            let code = self.invite_code.unwrap_or(Digest(fresh_code));
            self.policy.invite_code_hash = Some(sha256(code.as_ref()));
            self.invite_code = Some(code);
        }
    }
}
