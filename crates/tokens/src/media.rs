//! Owns media types and paths of issuance (RFC 9578 section 8.3, batch draft).

use crate::refused::IssueRefused;

/// Where an issuer publishes its directory (RFC 9578 section 4).
pub const DIRECTORY_PATH: &str = "/.well-known/private-token-issuer-directory";
/// The directory.
pub const DIRECTORY: &str = "application/private-token-issuer-directory";
/// A request for one token.
pub const REQUEST: &str = "application/private-token-request";
/// One token.
pub const RESPONSE: &str = "application/private-token-response";
/// A request for tokens under one key.
pub const AMORTISED_REQUEST: &str = "application/private-token-amortized-batch-request";
/// Tokens under one key with one proof.
pub const AMORTISED_RESPONSE: &str = "application/private-token-amortized-batch-response";
/// A request for tokens of any types and keys.
pub const GENERIC_REQUEST: &str = "application/private-token-generic-batch-request";
/// Tokens of any types and keys, each with its own proof.
pub const GENERIC_RESPONSE: &str = "application/private-token-generic-batch-response";

/// Which of the three requests a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestForm {
    /// One token.
    Single,
    /// A batch under one key.
    Amortised,
    /// A batch of any.
    Generic,
}

impl RequestForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Single, Self::Amortised, Self::Generic];

    /// The form that a `Content-Type` names, in any case and with any parameters.
    pub fn from_content_type(content_type: &str) -> Result<Self, IssueRefused> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let mut forms = Self::ALL.into_iter();
        let form = forms.find(|form| form.request_type().eq_ignore_ascii_case(essence));
        form.ok_or(IssueRefused::MediaType)
    }

    /// The media type of a request.
    pub const fn request_type(self) -> &'static str {
        match self {
            Self::Single => REQUEST,
            Self::Amortised => AMORTISED_REQUEST,
            Self::Generic => GENERIC_REQUEST,
        }
    }

    /// The media type of the answer, which is sent without parameters: clients compare all of it.
    pub const fn response_type(self) -> &'static str {
        match self {
            Self::Single => RESPONSE,
            Self::Amortised => AMORTISED_RESPONSE,
            Self::Generic => GENERIC_RESPONSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known_by_their_media_types() {
        for form in RequestForm::ALL {
            let media_type = form.request_type();
            for written in [
                media_type.to_owned(),
                media_type.to_uppercase(),
                format!(" {media_type} ; charset=utf-8"),
            ] {
                assert_eq!(
                    RequestForm::from_content_type(&written),
                    Ok(form),
                    "{written}"
                );
            }
        }
        for other in [
            "",
            "application/octet-stream",
            RESPONSE,
            DIRECTORY,
            "application/private-token-request2",
        ] {
            let refused = RequestForm::from_content_type(other).unwrap_err();
            assert_eq!(
                (refused, refused.status()),
                (IssueRefused::MediaType, 415),
                "{other}"
            );
        }
    }
}
