//! From a configuration to a running pooler.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use howdah_classifier::Classifier;
use howdah_config::{Config, Settings};
use howdah_controller::{Clock, ControlTls};
use howdah_session::{Registry, Shared, Tracked};

use crate::cluster;
use crate::directory::missing_cluster;
use crate::error::StartError;
use crate::handle::Handle;
use crate::listener::{Inherited, Listeners};
use crate::pooler::{OnSettings, Parts, Pooler};
use crate::takeover::take::{Takeover, TakeoverError};
use crate::tls::Tls;

/// The way to a running pooler.
#[derive(Debug)]
pub struct Howdah;

impl Howdah {
    /// Begins with an empty configuration, which listens on a Unix socket in `/tmp` only.
    pub fn builder() -> Builder {
        Builder {
            config: Config::default(),
            config_file: None,
            listen: true,
            inherited: Inherited::default(),
            on_settings: OnSettings::default(),
            takeover: None,
        }
    }
}

/// What a pooler is started with.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    config_file: Option<PathBuf>,
    listen: bool,
    inherited: Inherited,
    on_settings: OnSettings,
    takeover: Option<Takeover>,
}

impl Builder {
    /// The checked configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The file that the configuration came from, which RELOAD reads again.
    #[must_use]
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config_file = Some(file.into());
        self
    }

    /// Opens no socket: clients come by [`Handle::connect`] only.
    #[must_use]
    pub fn without_listeners(mut self) -> Self {
        self.listen = false;
        self
    }

    /// Listens on these sockets instead of the settings' own.
    #[must_use]
    pub fn inherited(mut self, inherited: Inherited) -> Self {
        self.inherited = inherited;
        self
    }

    /// Goes on where the process is that was found by [`Takeover::begin`], which ends then.
    #[must_use]
    pub fn taking_over(mut self, takeover: Option<Takeover>) -> Self {
        self.takeover = takeover;
        self
    }

    /// Is told of the settings when RELOAD or SET has changed them, before anything else sees the new ones: for the
    /// log, say. It must not block.
    #[must_use]
    pub fn on_settings(mut self, tell: impl Fn(&Settings) + Send + Sync + 'static) -> Self {
        self.on_settings = OnSettings(Some(Box::new(tell)));
        self
    }

    /// Starts the pooler on the present tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: an address cannot be listened on, or an entry names a cluster that there is not.
    pub async fn start(mut self) -> Result<Handle, StartError> {
        let settings = self.config.settings.clone();
        let known = |name: &str| self.config.clusters.contains_key(name);
        if let Some((database, cluster)) = missing_cluster(&self.config, known) {
            return Err(StartError::NoCluster {
                database: database.name.clone(),
                cluster: cluster.to_owned(),
            });
        }
        if let Some(sentence) = crate::pam::is_missing(&self.config) {
            return Err(StartError::NotBuilt(sentence));
        }
        let tls = Tls::build_logged(&settings).map_err(|_| StartError::Tls)?;
        let control_tls = ControlTls::default();
        control_tls.set(tls.control());
        let mut process_secret = [0_u8; 32];
        getrandom::fill(&mut process_secret).map_err(|error| StartError::Random(error.to_string()))?;
        // The sockets first: if one is taken, nothing else has begun.
        let listeners = self.listeners(&settings).await?;
        let http = crate::console::http::open(&settings).await?;
        let clock = Clock::new();
        let clusters: BTreeMap<_, _> = self
            .config
            .clusters
            .values()
            .map(|cluster| (cluster.name.clone(), Arc::new(cluster::watch(cluster, clock, &control_tls))))
            .collect();
        let session = Shared {
            registry: Registry::default(),
            classifier: Classifier::new(howdah_classifier::Options::default()),
            tracked: Tracked::new(settings.track_extra_parameters.iter()),
        };
        let parts = Parts {
            clock,
            config: self.config,
            tls,
            control_tls,
            config_file: self.config_file,
            clusters,
            session,
            process_secret,
            on_settings: self.on_settings,
        };
        let pooler = Pooler::new(parts);
        let addresses = listeners.addresses();
        if let Some(mut takeover) = self.takeover.take() {
            crate::takeover::adopt::run(&pooler, &mut takeover)?;
            takeover.finish().await?;
            crate::console::suspend::end(&pooler);
        }
        listeners.start(&pooler);
        tokio::spawn(crate::maintain::run(Arc::clone(&pooler)));
        for cluster in pooler.clusters.values() {
            tokio::spawn(cluster::follow(Arc::clone(&pooler), Arc::clone(cluster)));
        }
        let http = http.and_then(|listener| crate::console::http::start(&pooler, listener));
        Ok(Handle::new(pooler, addresses, http))
    }

    async fn listeners(&mut self, settings: &Settings) -> Result<Listeners, StartError> {
        if let Some(takeover) = &mut self.takeover {
            let inherited = takeover.inherited().map_err(TakeoverError::Io)?;
            return Listeners::inherit(inherited, settings, true);
        }
        match self.listen {
            false => Ok(Listeners::default()),
            true if self.inherited.is_empty() => Listeners::open(settings).await,
            true => Listeners::inherit(std::mem::take(&mut self.inherited), settings, false),
        }
    }
}
