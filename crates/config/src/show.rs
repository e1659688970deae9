//! SHOW CONFIG and SET.

use crate::config::Config;
use crate::settings::Settings;
use crate::table::{Effect, Key, Keys};

/// A row of SHOW CONFIG. `None` is NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRow {
    /// Name of the setting.
    pub key: &'static str,
    /// What runs.
    pub value: Option<String>,
    /// What runs when nothing is said.
    pub default: Option<String>,
    /// Whether RELOAD and SET change it.
    pub changeable: bool,
}

/// A setting of the table, for those who list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingInfo {
    /// Name of the setting.
    pub name: &'static str,
    /// Its default as text; `None` while unset.
    pub default: Option<String>,
    /// Whether RELOAD and SET change it.
    pub reloadable: bool,
    /// Whether it does something yet.
    pub effect: Effect,
    /// One of Howdah's own, unknown to PgBouncer.
    pub own: bool,
    /// Its sentence.
    pub doc: &'static str,
}

/// Why SET was refused. PgBouncer says `SET failed` to the client in both cases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no such setting.
    #[error("unknown parameter: pgbouncer/{0}")]
    Unknown(String),
    /// The value is none.
    #[error("invalid value \"{value}\" for parameter {key}: expected {expected}")]
    Invalid {
        /// Name of the setting.
        key: String,
        /// What was given.
        value: String,
        /// What was expected.
        expected: String,
    },
}

/// What SET did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOutcome {
    /// The setting has the value now.
    Changed,
    /// Only a restart changes this setting: the value was checked and dropped. PgBouncer answers as if it had changed.
    NeedsRestart,
}

impl Settings {
    /// Changes one setting, as the console's `SET key=value` does.
    ///
    /// # Errors
    /// An unknown key or a bad value; nothing has changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<SetOutcome, SetError> {
        let row = Self::key(key).ok_or_else(|| SetError::Unknown(key.to_owned()))?;
        let invalid = |expected| SetError::Invalid { key: key.to_owned(), value: value.to_owned(), expected };
        if row.flags.reloadable {
            (row.set)(self, value).map_err(invalid)?;
            return Ok(SetOutcome::Changed);
        }
        (row.set)(&mut self.clone(), value).map_err(invalid)?;
        Ok(SetOutcome::NeedsRestart)
    }

    /// The value of one setting as SHOW CONFIG has it; `None`: there is no such setting, or it is unset.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        Self::key(key).and_then(|row| (row.get)(self))
    }

    /// All settings in the order of the documentation.
    #[must_use]
    pub fn table() -> Vec<SettingInfo> {
        let defaults = Self::default();
        let info = |row: &Key<Self>| SettingInfo {
            name: row.name,
            default: (row.get)(&defaults),
            reloadable: row.flags.reloadable,
            effect: row.flags.effect,
            own: row.flags.own,
            doc: row.doc.trim(),
        };
        Self::KEYS.iter().map(info).collect()
    }
}

impl Config {
    /// The rows of SHOW CONFIG, in PgBouncer's order. Howdah's own settings are rows only where there is a cluster, so
    /// that a plain `pgbouncer.ini` shows what PgBouncer shows.
    #[must_use]
    pub fn show_config(&self) -> Vec<ConfigRow> {
        let defaults = Settings::default();
        let mut rows: Vec<_> =
            Settings::KEYS.iter().filter(|row| !row.flags.own || !self.clusters.is_empty()).collect();
        rows.sort_by_key(|row| sort_key(row.name));
        let cell = |row: &Key<Settings>, from: &Settings| match (row.get)(from) {
            None if !row.flags.null => Some(String::new()),
            value => value,
        };
        let to_row = |row: &&Key<Settings>| ConfigRow {
            key: row.name,
            value: cell(row, &self.settings),
            // PgBouncer knows no default of it.
            default: cell(row, &defaults).filter(|_| row.name != "verbose"),
            changeable: row.flags.reloadable,
        };
        rows.iter().map(to_row).collect()
    }
}

/// Alphabetical, except that PgBouncer has `pool_mode` before `pool_idle_timeout`.
fn sort_key(name: &str) -> &str {
    match name {
        "pool_mode" => "pool_i",
        name => name,
    }
}
