//! The login to a server, of which we are the client.

use super::{
    AuthError, Credential, MECHANISM, MECHANISM_PLUS, Md5Hash, Progress,
    scram::client::{Binding, Opened, Proof, Proving},
};
use crate::{
    read::{Authentication, Mechanisms},
    write,
};

/// Why a SCRAM secret alone does not help, in PgBouncer's words.
const SECRET_ONLY: &str = "cannot do SCRAM authentication: password is SCRAM secret but client authentication \
                           did not provide SCRAM keys";

/// One login to a server. [`ServerLogin::message`] with each Authentication message until it is done or has
/// failed; an ErrorResponse in between is the caller's, and ends it.
pub struct ServerLogin {
    user: Vec<u8>,
    credential: Credential,
    random: [u8; 32],
    /// Of a connection over TLS: what SCRAM may bind to.
    tls: Option<Option<Box<[u8]>>>,
    state: State,
}

enum State {
    /// Nothing has been asked for.
    New,
    /// A password has been sent, plain or as MD5.
    Answered,
    ScramOpened(Box<Opened>),
    ScramProving(Box<Proving>),
    /// The server has shown that it knows the secret.
    ScramVerified,
    Over,
}

impl ServerLogin {
    /// A login as `user`. `random` must be fresh: the SCRAM nonce is made of it.
    pub fn new(user: &[u8], credential: Credential, random: [u8; 32]) -> Self {
        Self { user: user.to_vec(), credential, random, tls: None, state: State::New }
    }

    /// The connection is over TLS; `end_point` is the `tls-server-end-point` of the server's certificate, where it
    /// defines one. SCRAM binds to it if the server offers that.
    #[must_use]
    pub fn over_tls(mut self, end_point: Option<Box<[u8]>>) -> Self {
        self.tls = Some(end_point);
        self
    }

    /// Takes what the server asks for, and appends the answer, if there is one.
    ///
    /// # Errors
    /// The credential cannot serve the method, the method is not supported, the server breaks SCRAM or does not
    /// know the secret, or the message has no place here. The login is over then.
    pub fn message(
        &mut self,
        message: Authentication<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Progress<()>, AuthError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, message) {
            (State::New | State::Answered | State::ScramVerified, Authentication::Ok) => {
                return Ok(Progress::Done(()));
            }
            (State::ScramOpened(_) | State::ScramProving(_), Authentication::Ok) => {
                return Err(AuthError::Server { detail: "it did not prove that it knows the password" });
            }
            (State::New, Authentication::CleartextPassword) => self.cleartext(out)?,
            (State::New, Authentication::Md5 { salt }) => self.md5(salt, out)?,
            (State::New, Authentication::Sasl(mechanisms)) => self.sasl(mechanisms, out)?,
            (State::ScramOpened(opened), Authentication::SaslContinue(server_first)) => {
                let (proving, client_final) = opened.prove(server_first)?;
                write::sasl_response(out, client_final.as_bytes())?;
                State::ScramProving(Box::new(proving))
            }
            (State::ScramProving(proving), Authentication::SaslFinal(server_final)) => {
                proving.verify(server_final)?;
                State::ScramVerified
            }
            (State::New, Authentication::Unsupported(code)) => return Err(AuthError::Unsupported { code }),
            _ => return Err(AuthError::Unexpected),
        };
        Ok(Progress::Continue)
    }

    fn cleartext(&self, out: &mut Vec<u8>) -> Result<State, AuthError> {
        let Credential::Password(password) = &self.credential else {
            return Err(self.wrong_type("server asks for the password itself"));
        };
        write::password(out, password.as_bytes())?;
        Ok(State::Answered)
    }

    fn md5(&self, salt: [u8; 4], out: &mut Vec<u8>) -> Result<State, AuthError> {
        let hash = match &self.credential {
            Credential::Password(password) => Md5Hash::build(password, &self.user),
            Credential::Md5Hash(hash) => hash.clone(),
            _ => return Err(self.wrong_type("server asks for MD5")),
        };
        write::password(out, &hash.answer(salt))?;
        Ok(State::Answered)
    }

    fn sasl(&self, mechanisms: Mechanisms<'_>, out: &mut Vec<u8>) -> Result<State, AuthError> {
        let offers = |name: &str| mechanisms.into_iter().any(|mechanism| mechanism == name.as_bytes());
        let (mechanism, binding) = match &self.tls {
            Some(Some(end_point)) if offers(MECHANISM_PLUS) => {
                (MECHANISM_PLUS, Binding::EndPoint(end_point.clone()))
            }
            _ if !offers(MECHANISM) => return Err(AuthError::NoMechanism),
            Some(Some(_)) => (MECHANISM, Binding::NotOffered),
            Some(None) | None => (MECHANISM, Binding::Impossible),
        };
        let proof = match &self.credential {
            Credential::Password(password) => Proof::Password(password.clone()),
            Credential::ScramKeys(keys) => Proof::Keys(keys.clone()),
            _ => return Err(self.wrong_type("cannot do SCRAM authentication: no password and no SCRAM keys")),
        };
        let (opened, client_first) = Opened::new(proof, &self.random, binding);
        write::sasl_initial_response(out, mechanism.as_bytes(), Some(client_first.as_bytes()))?;
        Ok(State::ScramOpened(Box::new(opened)))
    }

    fn wrong_type(&self, detail: &'static str) -> AuthError {
        let secret_only = matches!(self.credential, Credential::ScramSecretOnly);
        AuthError::WrongPasswordType { detail: if secret_only { SECRET_ONLY } else { detail } }
    }
}

impl std::fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerLogin").field("credential", &self.credential).finish_non_exhaustive()
    }
}
