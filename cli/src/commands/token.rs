//! `omsnode token`.

use std::time::Duration;

use clap::Subcommand;
use oms_proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest};

use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    output::{Human, Table, duration_ms},
    watch::duration,
};

#[derive(Subcommand, Debug)]
pub(crate) enum TokenCommand {
    /// Make a secret that lets nodes in, and print it. It is never shown again
    Create {
        /// How long it is valid, for example 30m or 7d; at most 30d
        #[arg(long, value_name = "DURATION", value_parser = validity, default_value = "1h")]
        valid: Duration,
        /// How many nodes it lets in
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// Free text
        #[arg(long, default_value = "")]
        remarks: String,
    },
    /// List tokens, without their secrets
    #[command(visible_alias = "ls")]
    List,
    /// Let nobody in with a token any more. Nodes that it let in stay
    Revoke {
        /// The token's id, as `list` shows it
        id: String,
    },
}

/// A time that is at least a second: 0 would mean the usual one.
fn validity(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        short if short.as_secs() == 0 => Err("at least 1s".to_owned()),
        long => Ok(long),
    }
}

pub(crate) async fn run(command: TokenCommand, context: &Context) -> Result<Exit, CliError> {
    let mut client = context.tokens().await?;
    let out = &context.out;
    match command {
        TokenCommand::Create { valid, uses, remarks } => {
            let request = CreateTokenRequest {
                valid_seconds: valid.as_secs(),
                uses,
                remarks,
            };
            let created = client
                .create_token(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            out.done(&created, &created.secret)?;
            if !out.is_json() {
                out.note(&format!(
                    "on each new machine, within {}:\n  omsnode join {} --listen HOST:PORT --token-file FILE",
                    duration_ms(u64::try_from(valid.as_millis()).unwrap_or(u64::MAX)),
                    context.server
                ))?;
            }
        }
        TokenCommand::List => {
            let list = client
                .list_tokens(ListTokensRequest {})
                .await
                .map_err(context.failed())?
                .into_inner();
            if out.is_json() {
                out.json(&list)?;
            } else if list.tokens.is_empty() {
                out.note("there are no tokens; `omsnode token create` makes one")?;
            } else {
                let human = Human::now();
                let mut table = Table::new(&["ID", "USES LEFT>", "CREATED", "EXPIRES", "REMARKS"]);
                for token in &list.tokens {
                    table.row([
                        token.id.clone(),
                        token.uses_left.to_string(),
                        human.ago(token.created_at_ms),
                        human.ahead(token.expires_at_ms),
                        token.remarks.clone(),
                    ]);
                }
                out.table(&table)?;
            }
        }
        TokenCommand::Revoke { id } => {
            let request = RevokeTokenRequest { id: id.clone() };
            client.revoke_token(request).await.map_err(context.failed())?;
            let done = serde_json::json!({ "revoked": id });
            out.done(&done, &format!("token {id} lets nobody in any more"))?;
        }
    }
    Ok(Exit::Ok)
}
