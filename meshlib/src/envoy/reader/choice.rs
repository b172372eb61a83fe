//! Enums.

use super::{Read, Reader, Value, suggest::suggest};
use crate::envoy::{
    diagnostic::{Code, Diagnostic},
    yaml::ScalarValue,
};

/// The values of an enum, by name. `None`: Envoy has it, this version does not support it.
pub type Choices<'c, T> = &'c [(&'static str, Option<T>)];

impl Value<'_> {
    /// The value as one of an enum's, whatever its case.
    ///
    /// # Errors
    /// It is none of them, or one that is not supported.
    pub fn choice<T: Clone>(self, choices: Choices<'_, T>) -> Read<T> {
        let Some(ScalarValue::String(name)) = self.scalar() else { return Err(self.wrong_type("a name")) };
        match choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(name)) {
            Some((_, Some(value))) => Ok(value.clone()),
            Some((choice, None)) => {
                let message = format!("`{choice}` as `{}` is not supported by this version", self.field());
                let supported = list(choices.iter().filter(|(_, value)| value.is_some()));
                let error =
                    Diagnostic::error(Code::Unsupported, message).at(self.span(), "Envoy knows it, meshlib does not");
                Err(self.diagnostics().error(error.help(format!("supported: {supported}"))))
            }
            None => {
                let suggestion = suggest(name, choices.iter().map(|(choice, _)| *choice));
                let label = suggestion.map_or_else(String::new, |choice| format!("did you mean `{choice}`?"));
                let message = format!("unknown value {} for `{}`", self.quoted(), self.field());
                let error = Diagnostic::error(Code::UnknownValue, message).at(self.span(), label);
                Err(self.diagnostics().error(error.help(format!("it can be {}", list(choices.iter())))))
            }
        }
    }
}

impl Reader<'_> {
    /// An enum's field, if it is there.
    ///
    /// # Errors
    /// The value is none of them, or one that is not supported.
    pub fn choice<T: Clone>(&mut self, name: &'static str, choices: Choices<'_, T>) -> Read<Option<T>> {
        self.get(name).map(|value| value.choice(choices)).transpose()
    }
}

fn list<'c, T: 'c>(choices: impl Iterator<Item = &'c (&'static str, Option<T>)>) -> String {
    choices.map(|(choice, _)| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
}
