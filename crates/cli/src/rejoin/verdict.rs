//! What a supervisor does with a node whose server does not run. Pure: what was found goes in, the step comes out.
//! Whom to follow is decided here, and which way leads there in `decide.rs`.

use howdah::FenceRecord;

use super::peers::Seen;
use super::source::Source;
use super::state::Node;

/// The step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Become a standby of the present primary.
    Follow,
    /// Start the server with the directory as it is.
    AsItWas(String),
    /// Look again later.
    Wait(String),
}

/// Decides. `patient`: another may yet be promoted in the place of this node.
pub(crate) fn judge(node: &Node, mark: Option<&FenceRecord>, seen: &Seen, patient: bool) -> Verdict {
    let Node::Stopped(control) = node else {
        return match seen.primary() {
            Some(_) => Verdict::Follow,
            None => {
                Verdict::Wait(format!("There is nothing to start from and no primary answers{}", why(seen)))
            }
        };
    };
    // A primary of an older timeline than our own has not heard yet that it was replaced.
    let fits = |source: &Source| source.system != control.system || source.timeline >= control.timeline;
    match seen.primary().filter(|(_, source)| fits(source)) {
        // Taken away by us, the mark would no longer keep the node from streaming from the primary that is being
        // replaced (FAILOVER_PROTOCOL.md section 5).
        Some((_, source)) if control.was_standby && mark.is_some_and(|m| m.timeline >= source.timeline) => {
            Verdict::AsItWas(
                "A failover has left its mark on this standby: it is started as it is.".to_owned(),
            )
        }
        Some(_) => Verdict::Follow,
        None if control.was_standby => {
            Verdict::AsItWas("No primary answers: the standby is started as it is.".to_owned())
        }
        None => match seen.newest(control.system).filter(|newest| *newest > control.timeline) {
            Some(newest) => Verdict::Wait(format!(
                "This is a former primary of timeline {}, and timeline {newest} is known: waiting for its primary",
                control.timeline
            )),
            None if patient => Verdict::Wait("Waiting whether another node is promoted".to_owned()),
            None => Verdict::AsItWas(
                "Nobody was promoted in its place: the primary is started as it is.".to_owned(),
            ),
        },
    }
}

/// What the others are wrong with, in brackets.
fn why(seen: &Seen) -> String {
    if seen.complaints.is_empty() { String::new() } else { format!(" ({})", seen.complaints.join("; ")) }
}
