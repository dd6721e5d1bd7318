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
