//! The options of LDAP logins, in an HBA line behind `ldap` or in `auth_ldap_options`. Their names and meanings are those
//! of PostgreSQL's manual, section 21.10.

use std::fmt;

/// How an LDAP server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// Hosts, tried in order until one can be reached.
    pub servers: Vec<String>,
    /// Port; `None`: the scheme's own.
    pub port: Option<u16>,
    /// `ldaps`: TLS from the first byte.
    pub is_ldaps: bool,
    /// `ldaptls`: TLS by the StartTLS operation.
    pub start_tls: bool,
    /// How a user's entry is come by.
    pub find: Find,
}

/// How a user's entry is come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// Its name is the user's between these two.
    Direct {
        /// `ldapprefix`
        prefix: String,
        /// `ldapsuffix`
        suffix: String,
    },
    /// By a search that must yield exactly one.
    Search(LdapSearch),
}

/// A search for a user's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapSearch {
    /// `ldapbasedn`
    pub base: String,
    /// Who searches; empty: anonymous.
    pub bind_dn: String,
    /// The searcher's password.
    pub bind_password: BindPassword,
    /// The filter, in which `$username` stands for the user.
    pub filter: String,
    /// How deep.
    pub scope: LdapScope,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LdapScope {
    /// The base alone.
    Base,
    /// Right below it.
    One,
    /// All below it.
    #[default]
    Sub,
}

/// `ldapbindpasswd`; silent in `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BindPassword(String);

impl BindPassword {
    /// The password, for the bind alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BindPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindPassword(***)")
    }
}

/// What is written, before it is put together.
#[derive(Default)]
struct Written {
    servers: Option<String>,
    port: Option<u16>,
    is_ldaps: bool,
    start_tls: bool,
    prefix: Option<String>,
    suffix: Option<String>,
    base: Option<String>,
    bind_dn: Option<String>,
    bind_password: Option<String>,
    attribute: Option<String>,
    filter: Option<String>,
    scope: LdapScope,
}

impl Ldap {
    /// Reads `name=value …`; names and values may be in double quotes, in which a doubled quote is one.
    ///
    /// # Errors
    /// A sentence about the first option that cannot be used, without its value where that may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut written = Written::default();
        for word in words(text)? {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("LDAP option {word}: expected name=value"))?;
            written.set(name.trim(), value)?;
        }
        written.put_together()
    }
}

impl Written {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = Some(value.to_owned());
        match name {
            "ldapserver" => self.servers = text,
            "ldapport" => {
                let port = value.parse().ok().filter(|port| *port > 0);
                self.port = Some(port.ok_or_else(|| format!("invalid LDAP port number: \"{value}\""))?);
            }
            "ldapscheme" => match value {
                "ldap" => self.is_ldaps = false,
                "ldaps" => self.is_ldaps = true,
                other => return Err(format!("invalid ldapscheme value: \"{other}\"")),
            },
            "ldaptls" => self.start_tls = value == "1",
            "ldapprefix" => self.prefix = text,
            "ldapsuffix" => self.suffix = text,
            "ldapbasedn" => self.base = text,
            "ldapbinddn" => self.bind_dn = text,
            "ldapbindpasswd" => self.bind_password = text,
            "ldapsearchattribute" => self.attribute = text,
            "ldapsearchfilter" => self.filter = text,
            "ldapurl" => self.url(value)?,
            other => return Err(format!("unrecognized LDAP option: {other}")),
        }
        Ok(())
    }

    /// `ldap[s]://host[:port]/basedn[?[attribute][?[scope][?[filter]]]]`
    fn url(&mut self, url: &str) -> Result<(), String> {
        let no_url = || "could not parse LDAP URL".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(no_url)?;
        match scheme.to_ascii_lowercase().as_str() {
            "ldap" => self.is_ldaps = false,
            "ldaps" => self.is_ldaps = true,
            other => return Err(format!("unsupported LDAP URL scheme: {other}")),
        }
        let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match host.strip_prefix('[') {
            Some(host) => host.split_once(']').ok_or_else(no_url)?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        if let Some(port) = port.strip_prefix(':') {
            self.port = Some(port.parse().map_err(|_| no_url())?);
        } else if !port.is_empty() {
            return Err(no_url());
        }
        let mut parts = rest.split('?').map(|part| decoded(part).ok_or_else(no_url));
        let mut next = || parts.next().transpose().map(|part| part.filter(|part| !part.is_empty()));
        if !host.is_empty() {
            self.servers = Some(host.to_owned());
        }
        self.base = next()?;
        if let Some(attributes) = next()? {
            self.attribute = attributes.split(',').next().map(str::to_owned);
        }
        match next()?.as_deref() {
            None => {}
            Some("base") => self.scope = LdapScope::Base,
            Some("one") => self.scope = LdapScope::One,
            Some("sub") => self.scope = LdapScope::Sub,
            Some(_) => return Err(no_url()),
        }
        if let Some(filter) = next()? {
            self.filter = Some(filter);
        }
        Ok(())
    }

    fn put_together(self) -> Result<Ldap, String> {
        let servers: Vec<String> =
            self.servers.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if servers.is_empty() {
            return Err("LDAP authentication needs ldapserver or ldapurl".to_owned());
        }
        let searches = [&self.base, &self.bind_dn, &self.bind_password, &self.attribute, &self.filter];
        let is_direct = self.prefix.is_some() || self.suffix.is_some();
        if is_direct && searches.iter().any(|option| option.is_some()) {
            return Err("cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, \
                        ldapsearchfilter, or ldapurl together with ldapprefix"
                .to_owned());
        }
        if self.attribute.is_some() && self.filter.is_some() {
            return Err("cannot use ldapsearchattribute together with ldapsearchfilter".to_owned());
        }
        let find = match self.base {
            _ if is_direct => Find::Direct {
                prefix: self.prefix.unwrap_or_default(),
                suffix: self.suffix.unwrap_or_default(),
            },
            Some(base) => Find::Search(LdapSearch {
                base,
                bind_dn: self.bind_dn.unwrap_or_default(),
                bind_password: BindPassword(self.bind_password.unwrap_or_default()),
                filter: self.filter.map_or_else(
                    || format!("({}=$username)", self.attribute.as_deref().unwrap_or("uid")),
                    // libldap does the same to a filter without its parentheses.
                    |filter| if filter.starts_with('(') { filter } else { format!("({filter})") },
                ),
                scope: self.scope,
            }),
            None => {
                return Err("LDAP authentication needs ldapbasedn, ldapprefix, or ldapsuffix".to_owned());
            }
        };
        Ok(Ldap { servers, port: self.port, is_ldaps: self.is_ldaps, start_tls: self.start_tls, find })
    }
}

/// The words of the text, without their quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut begun, mut inside) = (Vec::new(), String::new(), false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if inside && rest.next_if_eq(&'"').is_some() => word.push('"'),
            '"' => {
                inside = !inside;
                begun = true;
            }
            c if c.is_whitespace() && !inside => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if inside {
        return Err("LDAP options: a quote is not closed".to_owned());
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}
