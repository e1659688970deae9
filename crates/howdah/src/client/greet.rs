//! The welcome: the entry is looked up, the client's parameters are taken, and it hears what a server would say
//! (PGBOUNCER_BEHAVIOUR.md sections 1 and 8). Console sessions branch off here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_config::{CONSOLE_DATABASE, Config, Database};
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::startup;
use howdah_protocol::write;
use howdah_session::{Level, Routing, Session, Tracked, Vars};

use super::Client;
use super::authenticate::Identity;
use super::end::End;
use super::info::Phase;
use super::login::{Asked, Newcomer};
use crate::directory::{routing, session_options};
use crate::entry::Welcome;
use crate::pooler::Pooler;

/// Startup parameters that are not settings.
const NOT_SETTINGS: [&[u8]; 4] = [b"user", b"database", b"options", b"replication"];

impl Newcomer {
    /// Turns a newcomer who has proved who it is into a client. `Err(None)`: it has been served to its end.
    pub(super) async fn greet(&mut self, asked: Asked, identity: Identity) -> Result<Client, Option<End>> {
        let pooler = Arc::clone(&self.pooler);
        if asked.database == CONSOLE_DATABASE {
            if let Some(secret) = identity.found {
                pooler.found.remember(&asked.database.as_str().into(), &asked.user.as_str().into(), secret);
            }
            crate::console::session::serve(self, &asked).await.map_err(Some)?;
            return Err(None);
        }
        let config = pooler.config.load_full();
        let entry = pooler
            .find_entry(&asked.database)
            .ok_or_else(|| Some(End::refused(format!("no such database: {}", asked.database))))?;
        if entry.disabled.load(Ordering::Relaxed) {
            return Err(Some(End::refused(format!("database \"{}\" is disabled", asked.database))));
        }
        let database = entry.database();
        let (user, server_user) = users(&pooler, &database, &asked.user);
        *self.info.who.lock() = (Arc::clone(&entry.name), Arc::clone(&user));
        let kind = self.info.replication.get().copied().unwrap_or_default();
        if kind != startup::Replication::None {
            pooler.user_enters(&entry, &user).await.map_err(Some)?;
            pooler.learn_credential(&entry, (&user, &server_user), identity);
            let wanted = super::replication::Wanted { pooler, entry, user, server_user, kind };
            return Err(Some(Box::pin(self.replicate(wanted, &asked.startup)).await));
        }
        let managed = config.managed(&database).is_some();
        let (mut vars, level) = self.vars((&config, managed), &asked).map_err(Some)?;
        pooler.user_enters(&entry, &user).await.map_err(Some)?;
        pooler.learn_credential(&entry, (&user, &server_user), identity);
        let routing = routing(&config, &database, &user).map(|(mode, policy)| {
            let utf8 = vars.get(0).is_none_or(is_utf8);
            let context = howdah_session::context(utf8);
            let last_write = pooler.last_write(&entry.name, &database, &policy);
            Box::new(Routing::new(mode, policy, context).with_database(last_write))
        });
        let options = pooler.options.share(session_options(&config, &database, &user).into());
        let welcome = entry.welcome(&server_user);
        if let Some(welcome) = &welcome {
            vars.fill_from(&reported(&pooler.session.tracked, welcome));
        }
        let mut client = Client {
            stream: std::mem::replace(&mut self.stream, super::stream::ClientStream::closed()),
            session: Session::new(options, pooler.vars.share(vars.into()), routing)
                .with_scope(pooler.scope(&entry.name, &server_user))
                .with_level(level),
            info: Arc::clone(&self.info),
            user,
            server_user,
            pools: smallvec::SmallVec::new(),
            generation: pooler.generation.load(Ordering::Acquire),
            input: std::mem::take(&mut self.input),
            output: Vec::new(),
            asked: pooler.clock.now(),
            began: pooler.clock.now(),
            cut_short: false,
            is_greeted: false,
            entry,
            pooler,
        };
        match client.welcome(welcome).await {
            Ok(()) => Ok(client),
            Err(end) => {
                client.serve_end(&end).await;
                Err(None)
            }
        }
    }

    /// As [`client_vars`], with where the client comes from in its `application_name` if the settings want that.
    fn vars(&self, config: (&Config, bool), asked: &Asked) -> Result<(Vars, Option<Level>), End> {
        let tracked = &self.pooler.session.tracked;
        let (mut vars, level) = client_vars(config, tracked, asked)?;
        if config.0.settings.application_name_add_host
            && let Some(position) = tracked.position(b"application_name")
        {
            let name = self.info.name_with_host(vars.get(position).unwrap_or_default());
            vars.set(position, &name);
        }
        Ok((vars, level))
    }
}

impl Client {
    /// The wait for that server ends with `client_login_timeout` too, since the login is not over.
    async fn meet_in_time(&mut self) -> Result<(), End> {
        let limit = self.pooler.config.load().settings.client_login_timeout;
        if limit.is_zero() {
            return self.meet_server().await;
        }
        let left = limit.saturating_sub(self.info.connected.elapsed().unwrap_or_default());
        let met = tokio::time::timeout(left, self.meet_server()).await;
        met.unwrap_or_else(|_| Err(End::refused("client_login_timeout (server down)")))
    }

    /// A first client of a pool waits for a server, whose parameters it is greeted with; later ones do not.
    async fn welcome(&mut self, known: Option<Welcome>) -> Result<(), End> {
        let welcome = match known {
            Some(welcome) => welcome,
            None => {
                self.meet_in_time().await?;
                let welcome = self.entry.welcome(&self.server_user);
                let welcome = welcome.ok_or_else(|| End::refused("no server has logged in yet"))?;
                let mut vars = (**self.session.vars()).clone();
                vars.fill_from(&reported(&self.pooler.session.tracked, &welcome));
                self.session.set_vars(self.pooler.vars.share(vars.into()));
                welcome
            }
        };
        let tracked = &self.pooler.session.tracked;
        let out = &mut self.output;
        write::authentication_ok(out);
        for (name, value) in welcome.iter() {
            let own = tracked.position(name).and_then(|position| self.session.vars().get(position));
            write::parameter_status(out, name, own.unwrap_or(value))
                .map_err(|error| End::refused(error.to_string()))?;
        }
        self.info.write_cancel_key(out).map_err(|error| End::refused(error.to_string()))?;
        let message = &self.pooler.config.load().settings.login_notify_message;
        if !message.is_empty() {
            write::notice_response(out, &write::Report::notice(message));
        }
        write::ready_for_query(out, TransactionStatus::Idle);
        self.is_greeted = true;
        self.entry.counters.logins.add(1);
        self.info.enter(Phase::Idle, self.pooler.clock.now());
        let name =
            tracked.position(b"application_name").and_then(|position| self.session.vars().get(position));
        *self.info.application_name.lock() = self.pooler.names.share(name.unwrap_or_default().into());
        Ok(())
    }
}

/// The client's user, and the one that its servers know (`user=` of the entry).
fn users(pooler: &Pooler, database: &Database, asked: &str) -> (Arc<str>, Arc<str>) {
    let user: Arc<str> = pooler.users.share(asked.into());
    let forced = database.user.as_deref().map(|user| pooler.users.share(user.into()));
    (Arc::clone(&user), forced.unwrap_or(user))
}

/// What a server reported, as far as it is tracked.
fn reported(tracked: &Tracked, welcome: &Welcome) -> Vars {
    let mut vars = Vars::default();
    for (name, value) in welcome.iter() {
        if let Some(position) = tracked.position(name) {
            vars.set(position, value);
        }
    }
    vars
}

/// Whether texts of a client with this encoding can be read as UTF-8.
fn is_utf8(encoding: &[u8]) -> bool {
    encoding.eq_ignore_ascii_case(b"utf8")
        || encoding.eq_ignore_ascii_case(b"utf-8")
        || encoding.eq_ignore_ascii_case(b"unicode")
}

/// A level that a client asks for at its login.
fn read_level(value: &[u8]) -> Result<Level, End> {
    let word = String::from_utf8_lossy(value);
    Level::read(word.trim()).ok_or_else(|| {
        let message = format!("invalid value for parameter \"client_min_messages\": \"{word}\"");
        End::Relayed { code: "22023".to_owned(), message }
    })
}

/// The client's own values of the tracked parameters, and where Howdah promotes its `client_min_messages`; what is
/// neither tracked nor ignored is refused.
fn client_vars(
    (config, managed): (&Config, bool),
    tracked: &Tracked,
    asked: &Asked,
) -> Result<(Vars, Option<Level>), End> {
    let (mut vars, mut level) = (Vars::default(), None);
    let is_level = |name: &[u8]| managed && name.eq_ignore_ascii_case(b"client_min_messages");
    let ignored = &config.settings.ignore_startup_parameters;
    let ignores =
        |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| ignored.contains_ignoring_case(name));
    for (name, value) in &asked.startup.parameters {
        if NOT_SETTINGS.contains(&name.as_slice()) || name.starts_with(b"_pq_.") {
            continue;
        }
        match tracked.position(name) {
            Some(position) => drop(vars.set(position, value)),
            None if is_level(name) => level = Some(read_level(value)?),
            None if ignores(name) => {}
            None => {
                let name = String::from_utf8_lossy(name);
                return Err(End::refused(format!("unsupported startup parameter: {name}")));
            }
        }
    }
    let Some(options) = asked.startup.get(b"options") else { return Ok((vars, level)) };
    let ignore_unknown = ignores(b"options");
    let options = startup::options::parse(&String::from_utf8_lossy(options));
    let options = match options {
        Ok(options) => options,
        Err(_) if ignore_unknown => return Ok((vars, level)),
        Err(error) => return Err(End::refused(error.to_string())),
    };
    for (name, value) in options {
        match tracked.position(name.as_bytes()) {
            Some(position) => drop(vars.set(position, value.as_bytes())),
            None if is_level(name.as_bytes()) => level = Some(read_level(value.as_bytes())?),
            None if ignore_unknown || ignores(name.as_bytes()) => {}
            None => return Err(End::refused(format!("unsupported startup parameter in options: {name}"))),
        }
    }
    Ok((vars, level))
}
