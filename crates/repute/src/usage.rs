//! What a setting gets wrong, as one sentence that names the flag and its variable.
//!
//! A value may have come from either, and whoever set the variable in some file far away looks for its name.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::fmt;

/// A setting that cannot be. It ends the program as a flag that doesn't exist does.
#[derive(Debug)]
pub(crate) struct WrongSetting(String);

impl WrongSetting {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongSetting {}

/// The sentence for a value that a flag doesn't take; `None` for all other mistakes, which clap tells well.
/// `command` is the one that was given: a flag of the same name may have no variable in another.
pub(crate) fn wrong_setting(error: &clap::Error, command: &Command) -> Option<WrongSetting> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg)?.split(' ').next()?;
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let rule = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(words)), _) if !words.is_empty() => {
            format!("`{value}` is none of {}", words.join(", "))
        }
        (_, Some(source)) => source.to_string(),
        _ => "a value is needed".to_owned(),
    };
    let sentence = match variable_of(command, flag.strip_prefix("--")?) {
        Some(variable) => format!("{flag} ({variable}): {rule}"),
        None => format!("{flag}: {rule}"),
    };
    Some(WrongSetting(sentence))
}

/// The variable that stands for a flag.
fn variable_of(command: &Command, flag: &str) -> Option<String> {
    let mut arguments = command.get_arguments();
    let variable = arguments
        .find(|argument| argument.get_long() == Some(flag))?
        .get_env()?;
    Some(variable.to_string_lossy().into_owned())
}
