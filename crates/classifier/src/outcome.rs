//! What one statement of a text comes to, before the statements are put together in `judge.rs`.

use crate::verdict::Effect;
use crate::{Effects, Reason, Route};

/// The verdict on one statement.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) route: Route,
    pub(crate) reason: Reason,
    pub(crate) effects: Effects,
    pub(crate) rests_on_names: bool,
    /// The name or word that decided.
    pub(crate) detail: Option<Box<str>>,
}

impl Outcome {
    /// May run on a replica.
    pub(crate) fn replica(reason: Reason) -> Self {
        Outcome { route: Route::Replica, ..Outcome::primary(reason) }
    }

    /// Must run on the primary, and changes nothing.
    pub(crate) fn primary(reason: Reason) -> Self {
        let effects = Effects::default();
        Outcome { route: Route::Primary, reason, effects, rests_on_names: false, detail: None }
    }

    /// Must run on the primary, and counts as a write.
    pub(crate) fn write(reason: Reason) -> Self {
        Outcome::primary(reason).with(Effect::Writes)
    }

    /// Adds an effect.
    pub(crate) fn with(mut self, effect: Effect) -> Self {
        self.effects.add(effect);
        self
    }

    /// Adds the effect if `so`.
    pub(crate) fn with_if(self, so: bool, effect: Effect) -> Self {
        if so { self.with(effect) } else { self }
    }

    /// Says which name decided.
    pub(crate) fn about(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
