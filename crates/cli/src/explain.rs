//! Errors as people should read them: the message that tells what to do first, without the engine's labels around it.

use std::error::Error;

use datafusion::{arrow::error::ArrowError, error::DataFusionError};

use crate::printer::stdout_closed;

/// What stops a script.
#[derive(Debug)]
pub enum Failure {
    /// Something to tell the user.
    Message(String),
    /// Nobody reads stdout any more (`| head`): end quietly.
    BrokenPipe,
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        if stdout_closed() { Self::BrokenPipe } else { Self::Message(explain(&error)) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        DataFusionError::IoError(error).into()
    }
}

/// The message of an error without labels such as "Error during planning: ".
pub fn explain(error: &DataFusionError) -> String {
    // Nobody named the default catalog and schema.
    let text = core_message(error).replace("'datafusion.public.", "'");
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default().trim();
    match hint(text) {
        Some(hint) => format!("{text}\n{hint}"),
        None => text.to_owned(),
    }
}

fn core_message(error: &DataFusionError) -> String {
    match error {
        // The engine wraps an error in the name of the optimizer rule or operator that met it; the reader's error is inside.
        DataFusionError::Context(what, inner) => match is_internal(inner) {
            true => format!("{what}: {}", core_message(inner)),
            false => core_message(inner),
        },
        DataFusionError::Diagnostic(_, inner) => core_message(inner),
        DataFusionError::Shared(inner) => core_message(inner),
        DataFusionError::Collection(all) => all.iter().map(core_message).collect::<Vec<_>>().join("\n"),
        DataFusionError::External(inner) => foreign(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::ObjectStore(inner) => object_store(inner),
        DataFusionError::SQL(inner, _) => inner.to_string().replace("sql parser error: ", "syntax error: "),
        DataFusionError::Internal(_) | DataFusionError::NotImplemented(_) => error.to_string(),
        DataFusionError::ResourcesExhausted(message) => format!("not enough memory or disk: {message}"),
        other => other.message().into_owned(),
    }
}

fn is_internal(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::Internal(_))
}

fn foreign(error: &(dyn Error + Send + Sync + 'static)) -> String {
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        core_message(inner)
    } else if let Some(inner) = error.downcast_ref::<ArrowError>() {
        arrow(inner)
    } else if let Some(inner) = error.downcast_ref::<object_store::Error>() {
        object_store(inner)
    } else {
        error.to_string()
    }
}

fn arrow(error: &ArrowError) -> String {
    match error {
        ArrowError::ExternalError(inner) => foreign(inner.as_ref()),
        other => other.to_string(),
    }
}

/// An object store's message repeats the request and the whole XML answer; who, what and why are enough. Why a request
/// could not be sent at all is only said at the end of the chain of sources.
fn object_store(error: &object_store::Error) -> String {
    let text = error.to_string();
    if let Some(reason) = between(&text, "<Message>", "</Message>") {
        let code = between(&text, "<Code>", "</Code>").unwrap_or("no code");
        let request = text.split(" - Server returned").next().unwrap_or_default();
        return format!("{reason} ({code}): {request}");
    }
    let root = std::iter::successors(error.source(), |&e| e.source()).last().map(ToString::to_string);
    match root {
        Some(root) if !text.contains(&root) => format!("{text}: {root}"),
        _ => text,
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

fn hint(text: &str) -> Option<&'static str> {
    let has = |what: &str| text.contains(what);
    if text.starts_with("syntax error: Expected: ), found: ") {
        Some("If this is about TABLE t inside a call: the parser takes t or TABLE(t) there.")
    } else if has("URL scheme is not allowed") {
        Some("Set AWS_ALLOW_HTTP=true to use an endpoint without TLS.")
    } else if has("Error getting credentials") {
        Some("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.")
    } else if has("InvalidAccessKeyId") || has("SignatureDoesNotMatch") || has("NotSignedUp") {
        Some("Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    } else if has("Error encountered while finalizing writes") {
        Some("The store did not take the whole file; the engine's writer does not pass its reason on. Run it again.")
    } else if has("NoSuchBucket") {
        Some("Check the bucket's name, AWS_REGION and AWS_ENDPOINT_URL.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(message: &str) -> DataFusionError {
        DataFusionError::Plan(message.into())
    }

    #[test]
    fn labels_and_wrappers_are_left_out() {
        let nested = DataFusionError::External(Box::new(plan("k: 1 is too small")));
        assert_eq!(explain(&nested), "k: 1 is too small");
        assert_eq!(explain(&plan("x").context("Optimizer rule 'y' failed")), "x");
        let through_arrow = ArrowError::ExternalError(Box::new(DataFusionError::Execution("z".into())));
        assert_eq!(explain(&DataFusionError::ArrowError(Box::new(through_arrow), None)), "z");
        assert_eq!(explain(&plan("table 'datafusion.public.t' not found")), "table 't' not found");
    }

    #[test]
    fn an_internal_error_keeps_its_label_and_place() {
        let error = DataFusionError::Internal("oops".into()).context("rule 'y'");
        assert!(explain(&error).starts_with("rule 'y': Internal error: oops"));
    }

    #[test]
    fn a_store_error_says_why_and_what_to_check() {
        let source = "Error performing GET http://h/b/k in 1ms - Server returned non-2xx status code: 403 Forbidden: \
                      <Error><Code>SignatureDoesNotMatch</Code><Message>The signature is wrong.</Message></Error>";
        let error = object_store::Error::PermissionDenied { path: "k".into(), source: source.into() };
        let text = explain(&DataFusionError::ObjectStore(Box::new(error)));
        assert!(text.starts_with("The signature is wrong. (SignatureDoesNotMatch): "), "{text}");
        assert!(text.ends_with("Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."), "{text}");
        assert!(!text.contains('<'), "{text}");
    }
}
