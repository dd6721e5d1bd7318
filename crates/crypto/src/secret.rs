//! Owns the form of a key: a newtype over 32 secret bytes.
//!
//! Invariant: no `Clone`, `Debug` prints the type's name alone, wiped on drop, compared in
//! constant time.

/// Declares newtypes over [`sordino_wire::Secret32`].
macro_rules! secret {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(PartialEq, Eq)]
        pub struct $name(sordino_wire::Secret32);

        impl $name {
            /// Takes the secret.
            pub fn new(secret: sordino_wire::Secret32) -> Self {
                Self(secret)
            }

            /// The secret.
            pub fn secret(&self) -> &sordino_wire::Secret32 {
                &self.0
            }

            /// A second copy, where two owners legitimately need one.
            pub fn duplicate(&self) -> Self {
                Self(self.0.duplicate())
            }

            /// Derives another secret: see [`crate::expand`].
            #[allow(dead_code)]
            pub(crate) fn derive(
                &self,
                label: &str,
                context: &[u8],
            ) -> Result<sordino_wire::Secret32, crate::CryptoError> {
                let bytes = crate::expand::<32>(self.0.expose(), label, context)?;
                Ok(sordino_wire::Secret32::new(*bytes))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}
pub(crate) use secret;

#[cfg(test)]
mod tests {
    use crate::testing::secret;
    use crate::*;

    #[test]
    fn debug_of_a_secret_prints_its_type_alone() {
        macro_rules! check {
            ($($name:ident)+) => {$(
                let text = format!("{:?}", $name::new(secret(0xab)));
                assert_eq!(text, concat!(stringify!($name), "(..)"));
                assert_eq!(format!("{:#?}", $name::new(secret(0xab))), text);
            )+};
        }
        check!(UserSecret ClientSecret ContactKey ContactToken);
        check!(GroupSecret EarKey HeadKey TreeKey RosterKey PendingKey PreviousKey);
        check!(DeliveryKey WrapperKey SenderKey);
        check!(LayerKey OperatorKey IndexKey WindowKey AdmissionKey);
    }

    #[test]
    fn debug_of_what_holds_secrets_prints_its_type_alone() {
        assert_eq!(
            format!("{:?}", SigningKey::from_seed(&[1; 32])),
            "SigningKey(..)"
        );
        let hpke = HpkePrivateKey::from_bytes(&[1; 32]).unwrap();
        assert_eq!(format!("{hpke:?}"), "HpkePrivateKey(..)");
        assert_eq!(format!("{:?}", WindowKeys::new()), "WindowKeys(..)");
        let outer = OuterKeys::new(
            OperatorKey::new(secret(1)),
            Vec::new(),
            IndexKey::new(secret(2)),
            WindowKeys::new(),
        );
        assert_eq!(format!("{outer:?}"), "OuterKeys(..)");
    }

    #[test]
    fn secrets_are_compared_by_value() {
        assert_eq!(EarKey::new(secret(1)), EarKey::new(secret(1)).duplicate());
        assert_ne!(EarKey::new(secret(1)), EarKey::new(secret(2)));
    }
}
