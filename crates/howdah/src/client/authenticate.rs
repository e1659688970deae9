//! Who the client is: what is known of the user, by which method it has to prove itself, and the exchange
//! (PGBOUNCER_BEHAVIOUR.md section 5). A user who is not known is asked for proof like any other.

use std::num::NonZeroU32;
use std::sync::Arc;

use howdah_config::{AuthType, CONSOLE_DATABASE, Config, Secret as Stored};
use howdah_protocol::auth::{ClientLogin, Method, Progress, Proved, Secret};
use howdah_protocol::frame::{self, Direction, Limits, Step};

use super::end::End;
use super::login::{Asked, Newcomer};
use super::stream::Peer;
use crate::entry::Entry;

/// The longest message of a client that is not logged in yet (bytes): a password of 65,530 fits.
const LOGIN_FRAME_MAX: usize = 128 * 1024;

/// What a login has brought to light.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) proved: Proved,
    /// The secret of a user whom `auth_query` has found.
    pub(crate) found: Option<Stored>,
}

/// What is known of the user who wants in.
#[derive(Debug)]
pub(super) enum Known {
    /// `auth_file` has it.
    Listed(Stored),
    /// `auth_query` has found it.
    Found(Stored),
    /// Nobody knows it: it fails where a wrong password fails.
    Nobody,
}

impl Newcomer {
    /// Finds out who the client is, or why it cannot come in. Under `auth_query` and `auth_type = any` it may turn out to
    /// be another user than it said.
    pub(super) async fn authenticate(&mut self, asked: &mut Asked) -> Result<Identity, End> {
        let config = self.pooler.config.load_full();
        if asked.database == CONSOLE_DATABASE && self.is_local_admin(&asked.user) {
            tracing::info!("{} pgbouncer access from unix socket", self.info.log_name());
            return Ok(Identity::default());
        }
        // Inside the process the program itself vouches for its user.
        if self.info.peer == Peer::Pipe {
            return Ok(Identity::default());
        }
        let entry = self.entry_of(asked);
        let method = match config.settings.auth_type {
            AuthType::Any => return self.anybody(asked, entry.as_deref()),
            AuthType::Trust => Method::Trust,
            AuthType::Plain => Method::Plain,
            AuthType::Md5 => Method::Md5,
            AuthType::ScramSha256 => Method::Scram,
            other => {
                tracing::error!("auth_type {} is not supported", other.as_str());
                return Err(End::refused("bouncer config error"));
            }
        };
        let known = self.look_up(&config, asked, entry).await?;
        self.prove(&config, (method, &asked.user), known).await
    }

    /// The entry that the client asked for, made if there is a fallback; the console is none.
    fn entry_of(&self, asked: &Asked) -> Option<Arc<Entry>> {
        if asked.database == CONSOLE_DATABASE {
            return None;
        }
        self.pooler.find_entry(&asked.database)
    }

    /// Nobody is asked for anything: the entry's forced user is who everybody is.
    fn anybody(&self, asked: &mut Asked, entry: Option<&Entry>) -> Result<Identity, End> {
        if asked.database == CONSOLE_DATABASE {
            return Ok(Identity::default());
        }
        let forced = entry.and_then(|entry| entry.database().user.clone());
        let Some(forced) = forced else {
            tracing::error!("{} auth_type=any requires forced user", self.info.log_name());
            return Err(End::refused("bouncer config error"));
        };
        self.is_really(asked, forced);
        Ok(Identity::default())
    }

    /// The client goes on as this user.
    pub(super) fn is_really(&self, asked: &mut Asked, user: String) {
        self.info.who.lock().1 = user.as_str().into();
        asked.user = user;
    }

    /// What is known of the user: `auth_file` first, then `auth_query`.
    async fn look_up(
        &mut self,
        config: &Config,
        asked: &mut Asked,
        entry: Option<Arc<Entry>>,
    ) -> Result<Known, End> {
        if let Some(secret) = config.auth_users.get(&asked.user) {
            return Ok(Known::Listed(secret.clone()));
        }
        let Some(question) = self.auth_question(config, asked, entry)? else {
            if config.settings.log_connections {
                tracing::info!("{} no such user: {}", self.info.log_name(), asked.user);
            }
            return Ok(Known::Nobody);
        };
        self.ask_auth_query(question, asked).await.map(Known::Found)
    }

    /// The exchange, to its end.
    async fn prove(
        &mut self,
        config: &Config,
        (method, user): (Method, &str),
        known: Known,
    ) -> Result<Identity, End> {
        let (secret, found) = match known {
            Known::Listed(secret) => (Some(secret), None),
            Known::Found(secret) => (Some(secret.clone()), Some(secret)),
            Known::Nobody => (None, None),
        };
        // A user with an empty secret exists, but no password is right.
        let secret = secret.filter(|secret| method == Method::Trust || !secret.is_empty());
        let entropy = self.pooler.entropy().map_err(|error| End::refused(error.to_string()))?;
        let iterations = NonZeroU32::new(config.settings.scram_iterations).unwrap_or(NonZeroU32::MIN);
        let secret = secret.map(|secret| {
            let secret = Secret::parse(secret.expose());
            self.pooler.secrets.for_login((method, user), secret, &entropy, iterations)
        });
        let mut login = ClientLogin::new(method, user.as_bytes(), secret, entropy, iterations);
        let mut out = Vec::new();
        let mut progress = login.start(&mut out).map_err(|error| End::refused(error.to_string()))?;
        loop {
            self.send(&std::mem::take(&mut out)).await?;
            if let Progress::Done(proved) = progress {
                return Ok(Identity { proved, found });
            }
            let body = self.password_message().await?;
            progress = login.message(&body, &mut out).map_err(|error| End::refused(error.to_string()))?;
        }
    }

    async fn password_message(&mut self) -> Result<Vec<u8>, End> {
        let limits = Limits { max_frame: LOGIN_FRAME_MAX };
        loop {
            let step = frame::next(Direction::FromClient, &limits, &self.input);
            match step.map_err(|error| End::refused(error.to_string()))? {
                Step::Complete(frame) if frame.tag == b'p' => {
                    let (body, length) = (frame.body.to_vec(), frame.bytes.len());
                    self.input.drain(..length);
                    return Ok(body);
                }
                Step::Complete(frame) if frame.tag == b'X' => return Err(End::CloseRequest),
                Step::Complete(_) => return Err(End::refused("unexpected message during login")),
                Step::Partial(_) => self.fill().await?,
            }
        }
    }
}
