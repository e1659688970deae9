//! Every rule finds its sample in `xtask/samples/bad`, named after it, and nothing in `samples/good`.

use super::report::{Finding, Rule, Summary};
use super::source::{SourceFile, TextFile};
use super::{check_sources, edges, exceptions, words};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The findings in a text at a path of the workspace, without those about declarations.
fn findings_in(path: &str, text: &str) -> (Vec<Finding>, Summary) {
    let file = TextFile { path: path.to_owned(), text: text.to_owned() };
    let mut findings = Vec::new();
    words::check(&file, &mut findings);
    let mut summary = Summary::default();
    match SourceFile::parse(&file) {
        Ok(source) => summary = check_sources(&[source], &mut findings),
        Err(finding) => findings.push(finding),
    }
    // A sample stands alone: nobody declares it, and its length is the median.
    findings.retain(|f| f.rule != Rule::DeadFile && f.rule != Rule::MedianLength);
    (findings, summary)
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(kind);
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no samples in {}", folder.display());
    files
}

#[test]
fn every_bad_sample_breaks_its_rule_and_no_other() {
    for sample in samples("bad") {
        let name = sample.file_stem().unwrap().to_str().unwrap();
        let file = if name == "sleep-in-test" { "sample_tests.rs" } else { "sample.rs" };
        let text = std::fs::read_to_string(&sample).unwrap();
        let (findings, _) = findings_in(&format!("crates/pool/src/{file}"), &text);
        let rules: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.name()).collect();
        assert_eq!(rules, BTreeSet::from([name]), "{name}: {findings:?}");
    }
}

#[test]
fn good_samples_break_nothing() {
    for sample in samples("good") {
        let name = sample.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&sample).unwrap();
        let (findings, _) = findings_in(&format!("crates/pool/src/{name}"), &text);
        assert_eq!(findings, [], "{name}");
    }
}

#[test]
fn a_finding_names_file_and_line() {
    let (findings, _) = findings_in("crates/cli/src/x.rs", "//! X.\n\nfn f() {\n    g().unwrap();\n}\n");
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["crates/cli/src/x.rs:4: unwrap without `// proof: …` on the line before [unwrap]"]);
}

#[test]
fn pure_is_asked_of_pure_crates_only() {
    let text = "//! X.\n\nuse std::net::TcpStream;\n";
    let rules = |path: &str| findings_in(path, text).0.iter().map(|f| f.rule).collect::<Vec<_>>();
    assert_eq!(rules("crates/session/src/x.rs"), [Rule::Pure]);
    assert_eq!(rules("crates/backend/src/x.rs"), []);
    assert_eq!(rules("crates/session/src/x_tests.rs"), []);
}

#[test]
fn lines_of_tests_are_not_lines_of_code() {
    let text = "//! X.\n\n#[cfg(test)]\nmod x_tests;\n#[cfg(not(test))]\nfn f() {}\n";
    let (_, summary) = findings_in("crates/cli/src/x.rs", text);
    assert_eq!((summary.file_lengths, summary.test_lines), (vec![4], 2));
}

#[test]
fn marks_of_unfinished_work_are_found_in_any_file() {
    let mark = concat!("TO", "DO");
    let count =
        |text: &str| findings_in("docs/x.rs", text).0.iter().filter(|f| f.rule == Rule::Unfinished).count();
    assert_eq!(count(&format!("//! X.\n// {mark}: more\n")), 1);
    assert_eq!(count(&format!("//! X.\n// {mark}S are something else\n")), 0);
}

#[test]
fn a_registry_is_found_anywhere_but_in_cargos_own_file() {
    let line = concat!("image: index.docker", ".io/library/debian");
    let rules = |path: &str, line: &str| {
        let mut findings = Vec::new();
        words::check(&TextFile { path: path.to_owned(), text: line.to_owned() }, &mut findings);
        findings.iter().map(|f| f.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules("docker-compose.yml", line), [Rule::Registry]);
    assert_eq!(rules("Cargo.lock", line), []);
    assert_eq!(rules("docker/smoke", "label=com.docker.compose.project"), []);
}

#[test]
fn the_list_of_edges_only_points_down() {
    for package in &edges::EDGES {
        for used in package.uses {
            let below = edges::EDGES.iter().find(|p| p.folder.strip_prefix("crates/") == Some(used)).unwrap();
            assert!(below.level < package.level, "{} uses {used} of its own level or above", package.folder);
        }
    }
}

#[test]
fn manifests_keep_to_the_list_of_edges() {
    let lints = "[lints]\nworkspace = true\n";
    let check = |folder: &str, text: &str| {
        let mut findings = Vec::new();
        edges::check_manifest(folder, text, &mut findings).unwrap();
        findings.into_iter().map(|f| (f.line, f.rule)).collect::<Vec<_>>()
    };
    let session = |dependency: &str| format!("{lints}[dependencies]\n{dependency}.workspace = true\n");
    assert_eq!(check("crates/session", &session("howdah-protocol")), []);
    assert_eq!(check("crates/session", &session("howdah-pool")), [(4, Rule::Edge)]);
    assert_eq!(check("crates/session", &session("tokio")), [(4, Rule::Pure)]);
    assert_eq!(check("crates/backend", &session("tokio")), []);
    assert_eq!(check("crates/new", lints), [(1, Rule::Edge)]);
    assert_eq!(check("crates/pool", "[package]\nname = \"x\"\n"), [(1, Rule::Lints)]);
    let for_tests = format!("{lints}[dev-dependencies]\nhowdah-testkit.workspace = true\n");
    assert_eq!(check("crates/controller", &for_tests), []);
    assert_eq!(check("crates/controller", &for_tests.replace("dev-", "")), [(4, Rule::Edge)]);
    let on_a_target = format!("{lints}[target.'cfg(unix)'.dependencies]\nmio = \"1\"\n");
    assert_eq!(check("crates/pool", &on_a_target), [(4, Rule::Pure)]);
}

#[test]
fn an_exception_needs_a_reason_and_a_breach() {
    let breach =
        || vec![Finding { path: "a.rs".to_owned(), line: 3, rule: Rule::Nesting, what: String::new() }];
    let rules = |list: &str, complete: bool| {
        let left = exceptions::excuse(list, breach(), complete);
        left.into_iter().map(|f| f.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules("a.rs nesting a table of states\n", true), []);
    assert_eq!(rules("a.rs nesting\n", true), [Rule::Exception, Rule::Nesting]);
    assert_eq!(rules("# none\nb.rs nesting gone since\n", true), [Rule::Exception, Rule::Nesting]);
    assert_eq!(rules("b.rs nesting gone since\n", false), [Rule::Nesting]);
}
