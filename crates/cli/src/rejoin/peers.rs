//! The other servers of the cluster, as far as a node has to know them: which one is the primary now.

use super::Error;
use super::conninfo::Conninfo;
use super::programs::Programs;
use super::source::{self, Source};

/// How long a server may take to answer a connection that looks for the primary, in seconds, as libpq reads it.
const LOOK_TIMEOUT: &str = "3";

/// Where the primary may be.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    /// How each is followed.
    places: Vec<Conninfo>,
    /// Who may run pg_rewind there.
    login: Conninfo,
}

/// What they say.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Everybody who answered, and where.
    pub(crate) answers: Vec<(Conninfo, Source)>,
    /// What was wrong with the others.
    pub(crate) complaints: Vec<String>,
}

impl Peers {
    /// From what `--primary` and `--rewind-as` say.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn new(primary: &str, rewind_as: Option<&str>) -> Result<Self, Error> {
        let primary = Conninfo::parse(primary).map_err(Error::Refused)?;
        let login = rewind_as.map_or_else(|| Ok(primary.clone()), Conninfo::parse);
        let places = primary.each().map_err(Error::Refused)?;
        Ok(Self { places, login: login.map_err(Error::Refused)? })
    }

    /// The same, and servers that somebody else has named.
    pub(crate) fn with(&self, others: &[(String, u16)]) -> Self {
        let mut all = self.clone();
        let Some(like) = self.places.first() else { return all };
        for (host, port) in others {
            let other = like.without("hostaddr").with("host", host).with("port", &port.to_string());
            if all.places.iter().all(|known| known.place() != other.place()) {
                all.places.push(other);
            }
        }
        all
    }

    /// Whether one server is named and no other, which then is to be the primary.
    pub(crate) fn only(&self) -> Option<&Conninfo> {
        self.places.first().filter(|_| self.places.len() == 1)
    }

    /// The login for pg_rewind on a server; a login that names a place of its own keeps it where there is one server.
    pub(crate) fn login_at(&self, place: &Conninfo) -> Conninfo {
        let keeps = self.places.len() == 1 && self.login.get("host").or(self.login.get("hostaddr")).is_some();
        let login = if keeps { self.login.clone() } else { self.login.at(place) };
        if login.get("dbname").is_some() { login } else { login.with("dbname", "postgres") }
    }

    /// Asks all of them at once.
    pub(crate) fn look(&self, programs: &Programs) -> Seen {
        let mut seen = Seen::default();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let asked = self.places.iter().map(|place| {
                let limited = place.with("connect_timeout", LOOK_TIMEOUT);
                let login = self.login_at(place).with("connect_timeout", LOOK_TIMEOUT);
                scope.spawn(move || source::ask(&limited, &login, programs))
            });
            let asked: Vec<_> = asked.collect();
            asked.into_iter().map(|asked| asked.join()).collect()
        });
        for (place, answer) in self.places.iter().zip(answers) {
            match answer {
                Ok(Ok(source)) => seen.answers.push((place.clone(), source)),
                Ok(Err(error)) => seen.complaints.push(error.to_string()),
                Err(_) => seen.complaints.push(format!("asking {} broke off", place.place())),
            }
        }
        seen
    }
}

impl Seen {
    /// The server that is no standby, the newest of several: an older one is a former primary.
    pub(crate) fn primary(&self) -> Option<&(Conninfo, Source)> {
        self.answers.iter().filter(|(_, source)| !source.is_standby).max_by_key(|(_, source)| source.timeline)
    }

    /// The newest timeline that somebody of this system is on.
    pub(crate) fn newest(&self, system: u64) -> Option<u32> {
        let own = self.answers.iter().filter(|(_, source)| source.system == system);
        own.map(|(_, source)| source.timeline).max()
    }
}
