//! Owns the orders that a person types into the screen's line, beginning with `/`.
//!
//! Invariant: what does not begin with `/` is said, never obeyed; `//` says a slash.

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// To be said where one is.
    Say(String),
    /// Ask somebody for a connection.
    Connect(String),
    /// Accept somebody's request.
    Accept(String),
    /// Decline it.
    Decline(String),
    /// Block somebody.
    Block(String),
    /// Make a room, with these people.
    Create {
        /// Its name.
        name: String,
        /// Whom to invite.
        with: Vec<String>,
    },
    /// Bring somebody into the room one is in.
    Invite(String),
    /// Go into the room of the chosen invitation.
    Join,
    /// Who is here.
    Members,
    /// Remove somebody from here.
    Remove(String),
    /// Leave this room.
    Leave,
    /// Add the device that shows this code.
    LinkDevice(String),
    /// One's devices.
    Devices,
    /// One's handle and fingerprint.
    Whoami,
    /// The orders.
    Help,
    /// Close the screen.
    Quit,
}

/// The orders, for people.
pub(crate) const HELP: &[&str] = &[
    "/connect HANDLE      ask somebody for a connection",
    "/accept HANDLE       accept a request; /decline, /block likewise",
    "/create NAME [HANDLE …]  make a room, with these contacts",
    "/invite HANDLE       bring a contact into this room",
    "/join                go into the room you are invited to",
    "/members  /remove HANDLE  /leave   this room",
    "/devices  /link CODE  /whoami      this account",
    "/quit                or Ctrl-C",
    "Up, Down or Tab choose; Page Up, Page Down scroll; a line that begins with // is said.",
];

/// Reads a line. `Err`: what is wrong with it.
pub(crate) fn read(line: &str) -> Result<Option<Order>, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    let Some(order) = line.strip_prefix('/') else {
        return Ok(Some(Order::Say(line.to_owned())));
    };
    if order.starts_with('/') {
        return Ok(Some(Order::Say(order.to_owned())));
    }
    let mut words = order.split_whitespace();
    let name = words.next().unwrap_or_default();
    let rest: Vec<String> = words.map(str::to_owned).collect();
    let one = |make: fn(String) -> Order| match rest.as_slice() {
        [word] => Ok(make(word.clone())),
        _ => Err(format!("/{name} takes one name")),
    };
    let none = |order: Order| {
        if rest.is_empty() {
            Ok(order)
        } else {
            Err(format!("/{name} takes nothing"))
        }
    };
    let order = match name {
        "connect" => one(Order::Connect),
        "accept" => one(Order::Accept),
        "decline" => one(Order::Decline),
        "block" => one(Order::Block),
        "invite" => one(Order::Invite),
        "remove" => one(Order::Remove),
        // A code may have been copied with spaces in it.
        "link" if !rest.is_empty() => Ok(Order::LinkDevice(rest.concat())),
        "link" => Err("/link takes the code that the new device shows".to_owned()),
        "create" => match rest.split_first() {
            Some((name, with)) => Ok(Order::Create {
                name: name.clone(),
                with: with.to_vec(),
            }),
            None => Err("/create takes a name, and whom to invite".to_owned()),
        },
        "join" => none(Order::Join),
        "members" => none(Order::Members),
        "leave" => none(Order::Leave),
        "devices" => none(Order::Devices),
        "whoami" => none(Order::Whoami),
        "help" => none(Order::Help),
        "quit" => none(Order::Quit),
        _ => Err(format!("there is no order /{name}; /help lists them")),
    };
    order.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_order_is_said() {
        assert_eq!(read("  "), Ok(None));
        assert_eq!(read(" hello "), Ok(Some(Order::Say("hello".into()))));
        assert_eq!(read("//quit"), Ok(Some(Order::Say("/quit".into()))));
    }

    #[test]
    fn every_order_in_the_help_is_one() {
        let text = HELP.join(" ");
        let named = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('/'))
            .map(|word| word.trim_end_matches([',', ';']))
            .filter(|word| !word.is_empty() && *word != "/");
        let mut found = 0;
        for name in named {
            let known = [format!("/{name}"), format!("/{name} somebody")]
                .iter()
                .any(|line| matches!(read(line), Ok(Some(_))));
            assert!(known, "{name}");
            found += 1;
        }
        assert!(found >= 14, "{found}");
    }

    #[test]
    fn orders_take_what_they_need() {
        let create = Order::Create {
            name: "quartet".into(),
            with: vec!["anna".into(), "bart".into()],
        };
        assert_eq!(read("/create quartet anna bart"), Ok(Some(create)));
        let code = Order::LinkDevice("abcd".into());
        assert_eq!(read("/link ab cd"), Ok(Some(code)));
        for wrong in [
            "/connect",
            "/connect a b",
            "/create",
            "/leave now",
            "/link",
            "/x",
            "/",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
