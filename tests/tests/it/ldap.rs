//! `auth_type = ldap` and HBA's `ldap`, against a real slapd (PGBOUNCER_BEHAVIOUR.md section 5).

use std::path::Path;
use std::process::{Child, Command, Stdio};

use howdah_testkit::{Options, PortLease, Postgres};

use crate::support::{Authority, Binary, connect, entry, sentence, until, within};

const SUFFIX: &str = "dc=example,dc=net";

/// A slapd of the test's own, on loopback, with its files in a directory of its own; ends with its owner.
struct Slapd {
    child: Child,
    plain: PortLease,
    tls: PortLease,
    dir: tempfile::TempDir,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An entry of a person.
fn person(dn: &str, uid: &str, password: &str) -> String {
    format!(
        "dn: {dn}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: x\nmail: {uid}@example.net\nuserPassword: {password}\n\n"
    )
}

/// A name beyond 256 bytes, with letters that are none of ASCII.
fn deep() -> String {
    let unit = |index: usize| format!("ou=übergröße-{index}-{}", "ß".repeat(40));
    (0..3).rev().map(unit).chain([SUFFIX.to_owned()]).collect::<Vec<_>>().join(",")
}

fn tree() -> String {
    let mut ldif =
        format!("dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: x\n\n");
    let units = deep();
    let units: Vec<&str> = units.split(',').collect();
    for depth in (0..3).rev() {
        let dn = units[depth..].join(",");
        let name = units[depth].strip_prefix("ou=").unwrap();
        ldif += &format!("dn: {dn}\nobjectClass: organizationalUnit\nou: {name}\n\n");
    }
    ldif += &person(&format!("uid=ann,{SUFFIX}"), "ann", "sesame");
    ldif += &person(&format!("uid=one,{SUFFIX}"), "twin", "one");
    ldif += &person(&format!("uid=two,{SUFFIX}"), "twin", "two");
    ldif += &person(&format!("uid=far,{}", deep()), "far", "away");
    ldif
}

fn run(program: &str, arguments: &[&str], input: &str) {
    use std::io::Write as _;
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Slapd {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let authority = Authority::new(dir.path(), "ca");
        let pair = authority.sign("localhost", &["localhost", "127.0.0.1"]);
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let conf = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {}\nargsfile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\ndirectory {}\nsuffix \"{SUFFIX}\"\nrootdn \"cn=Manager,{SUFFIX}\"\nrootpw boss\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by dn=\"uid=ann,{SUFFIX}\" read by anonymous none by * read\n",
            at("pid"),
            at("args"),
            pair.cert.display(),
            pair.key.display(),
            at("data")
        );
        std::fs::write(dir.path().join("slapd.conf"), conf).unwrap();
        run("/usr/sbin/slapadd", &["-f", &at("slapd.conf")], &tree());
        let (plain, tls) = (PortLease::reserve().unwrap(), PortLease::reserve().unwrap());
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", plain.port(), tls.port());
        let child = Command::new("/usr/sbin/slapd")
            .args(["-f", &at("slapd.conf"), "-h", &urls, "-d", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let slapd = Self { child, plain, tls, dir };
        for port in [slapd.plain.port(), slapd.tls.port()] {
            until("slapd to listen", || async {
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            })
            .await;
        }
        slapd
    }

    /// Where it listens, with and without TLS, as options.
    fn at(&self) -> String {
        format!("ldapserver=127.0.0.1 ldapport={}", self.plain.port())
    }
}

/// Users that LDAP knows, and a server that asks them for the same passwords.
async fn server() -> Postgres {
    let options = Options::default().user("ann", "sesame").user("far", "away").user("twin", "one");
    Postgres::single(options).await.unwrap()
}

async fn who(binary: &Binary, dbname: &str, user: &str, password: &str) -> Result<String, String> {
    let conninfo = format!("{} password='{password}'", binary.conninfo(user, dbname));
    let client = connect(&conninfo).await.map_err(|error| sentence(&error))?;
    let row = within("an answer", client.query_one("SELECT current_user::text", &[])).await;
    row.map(|row| row.get(0)).map_err(|error| sentence(&error))
}

/// A pooler in whose environment `LDAPCONF` names a file with this text.
async fn pooler(pg: &Postgres, settings: &str, files: &[(&str, &str)]) -> Binary {
    let databases = ["postgres", "a", "b", "c", "d", "e", "f", "g", "h", "i"]
        .map(|name| format!("{name} = {}", entry(pg, "dbname=postgres")))
        .join("\n");
    Binary::start_env(&databases, &format!("{settings}\nlogfile = @DIR@/log"), files, "LDAPCONF").await
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_asking() {
    let (pg, slapd) = (server().await, Slapd::start().await);
    let (at, port, tls) = (slapd.at(), slapd.plain.port(), slapd.tls.port());
    let by_ann = format!("ldapbinddn=\"uid=ann,{SUFFIX}\" ldapbindpasswd=sesame");
    let lines = [
        format!("a all all ldap {at} ldapprefix=\"uid=\" ldapsuffix=\",{SUFFIX}\""),
        format!("b all all ldap {at} ldapbasedn=\"{SUFFIX}\" {by_ann}"),
        format!("c all all ldap {at} ldapbasedn=\"{SUFFIX}\" {by_ann} ldapsearchattribute=mail"),
        format!(
            "d all all ldap {at} ldapbasedn=\"{SUFFIX}\" {by_ann} ldapsearchfilter=\"(|(uid=$username)(cn=$username))\""
        ),
        format!("e all all ldap ldapurl=\"ldap://127.0.0.1:{port}/{SUFFIX}?uid?sub\" {by_ann}"),
        format!("f all all ldap \"ldaptls\"=1 {at} ldapprefix=uid= ldapsuffix=,{SUFFIX}"),
        format!("g all all ldap ldapurl=\"ldaps://127.0.0.1:{tls}/{SUFFIX}?uid?one\" {by_ann}"),
        format!("h all all ldap {at} ldapprefix=\"uid=\" ldapsuffix=\",{}\"", deep()),
        // TLS where there is none, and the other way round.
        format!("i ann all ldap ldapscheme=ldaps {at} ldapprefix=\"uid=\" ldapsuffix=\",{SUFFIX}\""),
        format!(
            "i twin all ldap ldapserver=127.0.0.1 ldapport={tls} ldapprefix=\"uid=\" ldapsuffix=\",{SUFFIX}\""
        ),
    ];
    let hba: String = lines.iter().map(|line| format!("host {line}\n")).collect();
    let settings = "auth_type = hba\nauth_hba_file = @DIR@/hba.conf\nclient_login_timeout = 5";
    let files = [("hba.conf", hba.as_str()), ("LDAPCONF", "TLS_REQCERT never\n")];
    let binary = pooler(&pg, settings, &files).await;
    let refusal = Err("LDAP authentication failed".to_owned());
    for dbname in ["a", "b", "d", "e", "f", "g"] {
        assert_eq!(
            who(&binary, dbname, "ann", "sesame").await.as_deref(),
            Ok("ann"),
            "{dbname}: {}",
            log(binary.dir())
        );
        assert_eq!(who(&binary, dbname, "ann", "wrong").await, refusal, "{dbname}");
        assert_eq!(who(&binary, dbname, "nobody", "x").await, refusal, "{dbname}");
    }
    // The search is for an address there, which ann is not called by.
    assert_eq!(who(&binary, "c", "ann", "sesame").await, refusal);
    assert_eq!(who(&binary, "h", "far", "away").await.as_deref(), Ok("far"), "a long name");
    assert_eq!(who(&binary, "b", "far", "away").await.as_deref(), Ok("far"), "found below");
    assert_eq!(who(&binary, "g", "far", "away").await, refusal, "not right below");
    // Two entries are as good as none; a name that is a filter is none.
    assert_eq!(who(&binary, "b", "twin", "one").await, refusal);
    assert_eq!(who(&binary, "b", "a*", "sesame").await, refusal);
    // An anonymous bind succeeds with everybody.
    assert_eq!(who(&binary, "a", "ann", "").await, refusal);
    assert!(who(&binary, "i", "ann", "sesame").await.is_err());
    assert!(who(&binary, "i", "twin", "one").await.is_err());
    assert_eq!(who(&binary, "a", "ann", "sesame").await.as_deref(), Ok("ann"), "nobody else was held up");
    let text = log(binary.dir());
    assert!(text.contains("LDAP search returned 2 entries"), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_type_ldap_and_certificates() {
    let (pg, slapd) = (server().await, Slapd::start().await);
    let options = format!(
        "auth_ldap_options = ldapurl=\"ldaps://127.0.0.1:{}/{SUFFIX}?uid\" ldapbinddn=\"uid=ann,{SUFFIX}\" ldapbindpasswd=sesame",
        slapd.tls.port()
    );
    let authority = format!("TLS_CACERT {}\n", slapd.dir.path().join("ca.crt").display());
    let settings = format!("auth_type = ldap\n{options}\nadmin_users = ann");
    for (conf, is_known) in
        [(authority.as_str(), true), ("TLS_REQCERT demand\n", false), ("TLS_REQCERT never\n", true)]
    {
        let binary = pooler(&pg, &settings, &[("LDAPCONF", conf)]).await;
        let answer = who(&binary, "postgres", "ann", "sesame").await;
        assert_eq!(answer.is_ok(), is_known, "{conf}: {answer:?} {}", log(binary.dir()));
    }
    let binary = pooler(&pg, &settings, &[("LDAPCONF", &authority)]).await;
    assert_eq!(who(&binary, "nowhere", "ann", "sesame").await.unwrap_err(), "no such database: nowhere");
    assert_eq!(who(&binary, "nowhere", "ann", "wrong").await.unwrap_err(), "LDAP authentication failed");
    let console = format!("{} password=sesame", binary.conninfo("ann", "pgbouncer"));
    let console = connect(&console).await.unwrap();
    within("SHOW", console.simple_query("SHOW VERSION")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_its_own_clients_only() {
    let pg = server().await;
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let hba = format!(
        "host a all all ldap ldapserver=127.0.0.1 ldapport={port} ldapprefix=uid=\nhost all alice all md5\n"
    );
    let settings = "auth_type = hba\nauth_hba_file = @DIR@/hba.conf\nclient_login_timeout = 2";
    let binary = pooler(&pg, settings, &[("hba.conf", &hba)]).await;
    let hangs = who(&binary, "a", "ann", "sesame");
    let others = async {
        for _ in 0..5 {
            let refusal = who(&binary, "b", "alice", "wrong").await.unwrap_err();
            assert_eq!(refusal, "password authentication failed");
        }
    };
    let (hangs, ()) = tokio::join!(hangs, others);
    assert_eq!(hangs.unwrap_err(), "client_login_timeout");
}
