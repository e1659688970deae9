//! Exit codes and what is printed for mistakes of the command line and of the file.

use super::facts::{self, Facts};
use super::running::Kind;

fn run(kind: Kind, arguments: &[&str]) -> String {
    let output = kind.command().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let program = kind.program().display().to_string();
    let shown = |text: String| text.replace(&program, "PROG");
    let code = output.status.code();
    // What --help and --version print is the versions' own; that it goes to standard output is not.
    let long = output.status.success() && !output.stdout.is_empty();
    let out = if long { "a text".to_owned() } else { shown(text(&output.stdout)) };
    format!("{code:?} out={out:?} err={:?}", shown(text(&output.stderr)))
}

#[test]
fn mistakes_of_the_command_line() {
    let mut both = [Facts::default(), Facts::default()];
    for (facts, kind) in both.iter_mut().zip([Kind::Debian, Kind::Howdah]) {
        for arguments in [
            &["--version"][..],
            &["-V"],
            &["--help"],
            &["-h"],
            &[],
            &["-q"],
            &["--nonsense"],
            &["-x"],
            &["a", "b"],
            &["-q", "/no/such/file.ini"],
            &["-u"],
        ] {
            facts.note(&format!("{arguments:?}"), run(kind, arguments));
        }
    }
    let [debian, howdah] = both;
    facts::check("program", &debian, &howdah);
}
