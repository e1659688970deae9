//! What 1.18 does otherwise than the contract (1.25.2), or Howdah on purpose. docs/pgbouncer-1.18-differences.md is
//! made of it: `HOWDAH_BLESS=1 cargo nextest run -p howdah-tests differences_are_written_down`.

mod console;
mod session;
mod settings;

/// A difference.
pub(super) struct Known {
    /// The groups of facts in which it shows; it has to be there in each.
    pub(super) groups: &'static [&'static str],
    /// The names of the facts; `*` stands for anything, here and in what is said.
    pub(super) fact: &'static str,
    /// What Debian's 1.18 says; `None`: no such fact.
    pub(super) debian: Option<&'static str>,
    /// What Howdah says.
    pub(super) howdah: Option<&'static str>,
    /// The version of PgBouncer that changed it, as far as known, or why Howdah does otherwise.
    pub(super) why: &'static str,
}

/// Only Howdah has it.
const fn new(groups: &'static [&'static str], fact: &'static str, why: &'static str) -> Known {
    Known { groups, fact, debian: None, howdah: Some("*"), why }
}

/// Only Debian's 1.18 has it.
const fn gone(groups: &'static [&'static str], fact: &'static str, why: &'static str) -> Known {
    Known { groups, fact, debian: Some("*"), howdah: None, why }
}

/// Both have it, and say something else.
const fn other(
    groups: &'static [&'static str],
    fact: &'static str,
    (debian, howdah): (&'static str, &'static str),
    why: &'static str,
) -> Known {
    Known { groups, fact, debian: Some(debian), howdah: Some(howdah), why }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Known> {
    console::KNOWN.iter().chain(settings::KNOWN).chain(session::KNOWN)
}

/// Behind this line the page for people is made of the table; what stands before it is written by hand.
const MARK: &str = "## Side by side\n\n<!-- Generated from tests/tests/it/side_by_side/known. After a change there: \
                    HOWDAH_BLESS=1 cargo nextest run -p howdah-tests differences_are_written_down -->";

/// That part of the page.
fn page() -> String {
    let mut page = format!(
        "{MARK}\n\n\
         The same scenarios run against both (`tests/tests/it/side_by_side`), and fail for every difference that is not \
         in this table, and for every line of it that is not so. `*` stands for anything; an empty cell for: not \
         there.\n\n\
         | where | what | 1.18 | Howdah | since |\n|---|---|---|---|---|\n"
    );
    for known in all() {
        let cell = |text: Option<&str>| {
            let text = text.unwrap_or_default().replace('\n', " ⏎ ").replace('|', "\\|");
            if text.is_empty() { text } else { format!("`{text}`") }
        };
        let line = [
            known.groups.join(", "),
            cell(Some(known.fact)),
            cell(known.debian),
            cell(known.howdah),
            known.why.to_owned(),
        ];
        page.push_str(&format!("| {} |\n", line.join(" | ")));
    }
    page
}

#[test]
fn differences_are_written_down() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pgbouncer-1.18-differences.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (by_hand, made) = text.split_at(text.find(MARK).unwrap_or(text.len()));
    if std::env::var_os("HOWDAH_BLESS").is_some() {
        std::fs::write(file, format!("{}\n\n{}", by_hand.trim_end(), page())).unwrap();
        return;
    }
    assert_eq!(made, page(), "not as the table says: HOWDAH_BLESS=1");
}
