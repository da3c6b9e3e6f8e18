//! The flags that say which shard this process is.

use clap::Args;
use wazzup_exporter::shard::Shard;

/// Most shards: with more, each has too few accounts to be even.
const SHARDS_MAX: i64 = 1000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Sharding")]
pub(crate) struct ShardFlags {
    /// Which part of the accounts to poll, from 0; each process has another one.
    #[arg(long = "shard", value_name = "ORDINAL")]
    ordinal: Option<u32>,
    /// Into how many parts the accounts are split; the same for each process [default: 1].
    #[arg(
        long = "total-shards",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=SHARDS_MAX)
    )]
    total: Option<u32>,
    /// Poll the part whose number is at the end of the hostname, as pods of a stateful set have it:
    /// exporter-2.
    #[arg(long = "shard.from-hostname")]
    from_hostname: bool,
}

impl ShardFlags {
    /// How many shards there are.
    pub(crate) fn total(&self) -> u32 {
        self.total.unwrap_or(1)
    }

    /// Which shard this process is; all accounts without flags.
    ///
    /// # Errors
    /// When the flags do not say it, or contradict each other.
    pub(crate) fn shard(&self) -> Result<Shard, String> {
        self.named()?.ok_or_else(|| {
            "--total-shards: which of the shards this process is, is not said; give --shard, or \
             --shard.from-hostname"
                .to_owned()
        })
    }

    /// The same, or nothing where only the number of shards is given.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub(crate) fn named(&self) -> Result<Option<Shard>, String> {
        let shard = match (self.ordinal, self.from_hostname) {
            (Some(_), true) => {
                let both =
                    "--shard and --shard.from-hostname each say which shard this is; give one";
                return Err(both.to_owned());
            }
            (Some(ordinal), false) => Shard::new(ordinal, self.total()),
            (None, true) => {
                let hostname = rustix::system::uname();
                Shard::from_hostname(&hostname.nodename().to_string_lossy(), self.total())
            }
            (None, false) if self.total() == 1 => return Ok(Some(Shard::WHOLE)),
            (None, false) => return Ok(None),
        };
        let flag = if self.from_hostname { "--shard.from-hostname" } else { "--shard" };
        shard.map(Some).map_err(|error| format!("{flag}: {error}"))
    }
}
