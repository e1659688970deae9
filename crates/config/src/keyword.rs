//! The settings that are one word of a list: pooling modes, authentication methods, routing choices.
//!
//! Each is an enum with the words beside the variants, so that parser, printer and the sentence of a refusal
//! ("expected session, transaction or statement") come from one place. Words are matched without regard to case, as
//! PgBouncer does. Read `kind.rs` next for the values that are not words.

/// Declares an enum whose variants are the words of a setting.
macro_rules! keyword {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// The words that the setting accepts, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as it is written in a file.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word, without regard to case; `None` when it is not one of [`Self::WORDS`].
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                $(if word.eq_ignore_ascii_case($word) { return Some(Self::$variant); })+
                None
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::kind::Word for $name {
            const WORDS: &'static [&'static str] = Self::WORDS;
            fn read(word: &str) -> Option<Self> { Self::from_word(word) }
            fn word(self) -> &'static str { self.as_str() }
        }
    };
}

keyword! {
    /// When a server goes back to the pool.
    PoolMode {
        /// When the client leaves.
        Session = "session",
        /// When the transaction ends.
        Transaction = "transaction",
        /// After each statement; transaction blocks are refused.
        Statement = "statement",
    }
}

keyword! {
    /// How clients prove who they are.
    AuthType {
        /// Anybody, and the user name is not looked at: every entry needs a forced user.
        Any = "any",
        /// No password, but the user must be known.
        Trust = "trust",
        /// The password in clear text.
        Plain = "plain",
        /// MD5, or SCRAM for a user whose stored secret is a SCRAM one.
        Md5 = "md5",
        /// A TLS client certificate whose common name is the user.
        Cert = "cert",
        /// By the lines of `auth_hba_file`.
        Hba = "hba",
        /// By an LDAP server.
        Ldap = "ldap",
        /// By PAM.
        Pam = "pam",
        /// SCRAM-SHA-256.
        ScramSha256 = "scram-sha-256",
    }
}

keyword! {
    /// What is demanded of TLS, on the client's or the server's side, with libpq's meanings.
    SslMode {
        /// Never TLS.
        Disable = "disable",
        /// TLS if the other side asks for it (to a server: same as prefer).
        Allow = "allow",
        /// TLS if the other side can.
        Prefer = "prefer",
        /// TLS or nothing; the certificate is not checked.
        Require = "require",
        /// TLS with a certificate of a known authority.
        VerifyCa = "verify-ca",
        /// The same, and the name must match.
        VerifyFull = "verify-full",
    }
}

keyword! {
    /// How an entry with a list of hosts uses it (`load_balance_hosts`).
    LoadBalanceHosts {
        /// The next host for each new server connection.
        RoundRobin = "round-robin",
        /// Stay on one host until it cannot be reached.
        Disable = "disable",
    }
}

keyword! {
    /// `syslog_facility`.
    SyslogFacility {
        /// `auth`
        Auth = "auth",
        /// `authpriv`
        Authpriv = "authpriv",
        /// `daemon`
        Daemon = "daemon",
        /// `user`
        User = "user",
        /// `local0`
        Local0 = "local0",
        /// `local1`
        Local1 = "local1",
        /// `local2`
        Local2 = "local2",
        /// `local3`
        Local3 = "local3",
        /// `local4`
        Local4 = "local4",
        /// `local5`
        Local5 = "local5",
        /// `local6`
        Local6 = "local6",
        /// `local7`
        Local7 = "local7",
    }
}

keyword! {
    /// Who promotes a replica when a cluster's primary is gone (DESIGN.md §8).
    Failover {
        /// Howdah does (FAILOVER_PROTOCOL.md).
        Manage = "manage",
        /// Somebody else does; Howdah finds the new primary and moves.
        Follow = "follow",
        /// Nobody: the nodes keep the role that they had at start.
        Off = "off",
    }
}

keyword! {
    /// Whether reads are sent to replicas (DESIGN.md §5).
    ReadRouting {
        /// Yes, except under session pooling.
        On = "on",
        /// Never: everything goes to the primary.
        Off = "off",
        /// Yes, under session pooling too, with the tracked state mirrored.
        Session = "session",
    }
}

keyword! {
    /// Which nodes of its cluster a database entry uses.
    Target {
        /// Reads that are safe there go to replicas, everything else to the primary.
        Auto = "auto",
        /// The primary only.
        Primary = "primary",
        /// Replicas only.
        Replica = "replica",
        /// Replicas, and the primary while there is none.
        PreferReplica = "prefer_replica",
    }
}

keyword! {
    /// How fresh a replica must be for a read (DESIGN.md §6).
    Consistency {
        /// Any healthy replica within `max_replica_lag`.
        Eventual = "eventual",
        /// One that has what this session wrote and has read on the primary.
        Session = "session",
        /// The same, and never older than what the session read before: it stays on one replica.
        Monotonic = "monotonic",
        /// One that has what every session of this database wrote through here.
        Database = "database",
        /// The primary.
        Strong = "strong",
    }
}

keyword! {
    /// How one of several usable replicas is chosen.
    Balance {
        /// The one with the fewest servers in use for its weight; equals take turns.
        LeastLoaded = "least_loaded",
        /// In turn, by weight.
        RoundRobin = "round_robin",
        /// By chance, by weight.
        Random = "random",
    }
}

keyword! {
    /// What becomes of a read when no replica is usable.
    ReadsWithoutReplica {
        /// The primary answers it.
        Primary = "primary",
        /// It fails.
        Fail = "fail",
    }
}

keyword! {
    /// What the living primary does when its last synchronous standby stays away (FAILOVER_PROTOCOL.md §2).
    OnLastNode {
        /// Commits wait until it returns: nothing acknowledged can be lost.
        Wait = "wait",
        /// Synchronous replication is switched off until it returns: commits go on unprotected.
        Degrade = "degrade",
    }
}

keyword! {
    /// What is done with a commit under `synchronous_commit` off or local (FAILOVER_PROTOCOL.md §9).
    UnsafeCommits {
        /// Passed on, and counted as unprotected.
        Allow = "allow",
        /// Refused.
        Refuse = "refuse",
    }
}

keyword! {
    /// Form of the log lines.
    LogFormat {
        /// PgBouncer's lines.
        Pgbouncer = "pgbouncer",
        /// One JSON object a line.
        Json = "json",
    }
}
