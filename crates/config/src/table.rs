//! The table of keys: one row a key, with everything that is known about it.
//!
//! `keys!` declares a section: its struct, its defaults and its rows, one block a key. Parsing a file, SET, SHOW CONFIG,
//! `convert`, docs/settings.md and the list of what has no effect yet all walk these rows; nothing else knows the names.
//! The sections are in `settings.rs`, `database.rs` and `cluster.rs`; the kinds of values in `kind.rs`.

use crate::kind::Shape;

/// Whether a key does something yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what its sentence says.
    Full,
    /// It is read and checked and has no effect yet, or not the whole one; the note says what is missing.
    NotYet(&'static str),
    /// It is read and checked and never has an effect; the note says why (docs/pgbouncer.md).
    Never(&'static str),
}

/// What a row says beside name, kind and sentence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// RELOAD and SET change it.
    pub(crate) reloadable: bool,
    pub(crate) effect: Effect,
    /// One of Howdah's own, unknown to PgBouncer.
    pub(crate) own: bool,
    /// A second name.
    pub(crate) alias: Option<&'static str>,
    /// SHOW CONFIG has NULL and not an empty text while it is unset.
    pub(crate) null: bool,
}

/// A key that RELOAD changes.
pub(crate) const LIVE: Flags =
    Flags { reloadable: true, effect: Effect::Full, own: false, alias: None, null: false };

/// A key that only a restart changes.
pub(crate) const START: Flags = Flags { reloadable: false, ..LIVE };

impl Flags {
    /// Without its whole effect yet.
    pub(crate) const fn not_yet(self, note: &'static str) -> Self {
        Self { effect: Effect::NotYet(note), ..self }
    }

    /// Accepted for PgBouncer's sake only.
    pub(crate) const fn never(self, note: &'static str) -> Self {
        Self { effect: Effect::Never(note), ..self }
    }

    /// Howdah's own key.
    pub(crate) const fn own(self) -> Self {
        Self { own: true, ..self }
    }

    /// With a second name.
    pub(crate) const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// Shown as NULL while unset.
    pub(crate) const fn null(self) -> Self {
        Self { null: true, ..self }
    }
}

/// One key of a section whose struct is `T`.
pub(crate) struct Key<T> {
    pub(crate) name: &'static str,
    /// The heading under which the documentation has it.
    pub(crate) group: &'static str,
    /// Its sentence.
    pub(crate) doc: &'static str,
    pub(crate) flags: Flags,
    pub(crate) shape: Shape,
    /// The words that the value may be, if it is one of a list.
    pub(crate) words: &'static [&'static str],
    /// Reads a value into the struct; the error is what was expected.
    pub(crate) set: fn(&mut T, &str) -> Result<(), String>,
    /// Prints the value so that `set` reads the same again; `None` while unset.
    pub(crate) get: fn(&T) -> Option<String>,
}

impl<T> Key<T> {
    /// Whether the key goes by this name.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.flags.alias == Some(name)
    }
}

/// A section of keys.
pub(crate) trait Keys: Clone + Default + 'static {
    /// Its rows, in the order of the documentation.
    const KEYS: &'static [Key<Self>];

    /// The row of a name.
    fn key(name: &str) -> Option<&'static Key<Self>> {
        Self::KEYS.iter().find(|key| key.is_called(name))
    }
}

/// Declares a section. A block is `/// sentence`, `field: Type as Kind = default, flags;`; the fields in the leading
/// braces are no keys. See `database.rs` for a short example.
macro_rules! keys {
    (
        $(#[$outer:meta])*
        pub struct $name:ident { $($(#[$plain_doc:meta])* $plain:ident: $plain_type:ty,)* }
        $([$group:literal] $(
            $(#[doc = $doc:literal])+
            $field:ident: $type:ty as $kind:ty = $default:expr, $flags:expr;
        )+)+
    ) => {
        $(#[$outer])*
        pub struct $name {
            $($(#[$plain_doc])* pub $plain: $plain_type,)*
            $($($(#[doc = $doc])+ pub $field: $type,)+)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($plain: Default::default(),)* $($($field: $default,)+)+ }
            }
        }

        impl crate::table::Keys for $name {
            const KEYS: &'static [crate::table::Key<Self>] = &[$($(crate::table::Key {
                name: stringify!($field),
                group: $group,
                doc: concat!($($doc),+),
                flags: $flags,
                shape: <$kind as crate::kind::Kind>::SHAPE,
                words: <$kind as crate::kind::Kind>::WORDS,
                set: |target, text| {
                    target.$field = <$kind as crate::kind::Kind>::parse(text)?;
                    Ok(())
                },
                get: |source| <$kind as crate::kind::Kind>::print(&source.$field),
            },)+)+];
        }
    };
}
