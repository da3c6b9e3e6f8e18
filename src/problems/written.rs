//! Single values as they are written, whatever they should be.

/// A value of any kind.
pub(crate) type Written = serde_json::Value;

/// What a value is, for "is … where text is wanted".
pub(crate) fn kind(written: &Written) -> &'static str {
    match written {
        Written::Null => "empty",
        Written::Bool(_) => "true or false",
        Written::Number(number) if number.is_f64() => "a fraction",
        Written::Number(_) => "a number",
        Written::String(_) => "text",
        Written::Array(_) => "a list",
        Written::Object(_) => "a mapping",
    }
}

/// Text with something in it. The error follows the name of the key.
pub(crate) fn text(written: &Written) -> Result<&str, String> {
    let what = match written {
        Written::String(text) if !text.is_empty() => return Ok(text),
        Written::String(_) | Written::Null => "is empty; write a value or remove the key",
        Written::Number(_) => NUMBER,
        Written::Bool(_) => "is true or false where text is wanted; quote it (\"true\")",
        Written::Array(_) => "is a list where text is wanted",
        Written::Object(_) => "is a mapping where text is wanted",
    };
    Err(what.to_owned())
}

/// What is wrong with a number in place of text.
pub(super) const NUMBER: &str = "is a number where text is wanted; quote it (\"7\"), \
                                 because YAML would turn 007 or 0x1F into something else";
