//! What a client is told of a message of its own that was not carried out.

use std::borrow::Cow;

use crate::domain::notice::Fault;
use crate::domain::pattern::{NAME_BYTES_MAX, PATTERNS_MAX, SEGMENTS_MAX};

/// The code that goes with a fault, as programs know it.
pub fn fault_code(fault: &Fault) -> &'static str {
    told(fault).1
}

/// The table of faults: what people read, and what programs do.
pub(super) fn told(fault: &Fault) -> (Cow<'static, str>, &'static str) {
    let (message, code) = match fault {
        Fault::InvalidMessage => ("Invalid message format", "invalid_message"),
        Fault::UnknownType => ("Unknown message type", "unknown_type"),
        Fault::MetricsNoArray => ("Metrics must be an array", "invalid_request"),
        Fault::InvalidMetric => return (metric_form().into(), "invalid_request"),
        Fault::InvalidSelector(reason) => {
            return (
                format!("Invalid subscription: {reason}").into(),
                "invalid_request",
            );
        }
        Fault::TooManyPatterns => {
            let message = format!("A subscription holds at most {PATTERNS_MAX} patterns");
            return (message.into(), "invalid_request");
        }
        Fault::RateLimited => ("Too many messages", "rate_limited"),
        Fault::TokenInvalid => ("The token is not valid", "unauthenticated"),
        Fault::TokenOfOtherUser => ("The token is another user's", "forbidden"),
        Fault::TokenExpiresEarlier => {
            let message = "The token expires earlier than the one in use";
            (message, "invalid_request")
        }
        Fault::Unavailable => ("The hub cannot do this at the moment", "unavailable"),
    };
    (message.into(), code)
}

fn metric_form() -> String {
    format!(
        "A metric name has at most {NAME_BYTES_MAX} characters, in at most {SEGMENTS_MAX} \
         dot-separated segments of A-Z, a-z, 0-9, _ and -; in a pattern * stands for one whole \
         segment and ** at the end for any number of them"
    )
}
