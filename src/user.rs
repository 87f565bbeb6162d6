//! `huiliu user`: the accounts of the service, kept by whoever owns the data folder.

use std::io::Read;

use clap::{Args, Subcommand, ValueEnum};
use huiliu_core::access::{Limits, Permission, Role};
use huiliu_core::policy::exit;
use huiliu_runner::Hub;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_serve::data::{NewToken, NewUser, Token, User};
use huiliu_serve::identity::{Accounts, By};
use serde_json::json;

use crate::operate::stated;
use crate::output::Printer;
use crate::setup::{Failure, Setup};

/// The most bytes that are read as a password.
const MAX_INPUT: u64 = 4_096;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// All users.
    List,
    /// Make a user. A password is made up and printed once; it must be changed at the first login.
    Add {
        /// The name to log in with.
        name: String,
        /// The name for people.
        #[arg(long, value_name = "TEXT")]
        title: String,
        /// What the user may do.
        #[arg(long, value_enum)]
        role: RoleWord,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Let a user in no more; sessions end, tokens open nothing.
    Disable(ReasonArgs),
    /// Let a user in again.
    Enable(ReasonArgs),
    /// Give a user another role; sessions end.
    Role {
        /// The role.
        #[arg(long, value_enum)]
        role: RoleWord,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Limit the rows that a user sees to divisions and departments, in the place of earlier limits;
    /// sessions end.
    Limit {
        /// The code of a division, such as 340503, for all below it too. Can be given often.
        #[arg(long, value_name = "CODE")]
        division: Vec<String>,
        /// A department, by its code or name as tables have it. Can be given often.
        #[arg(long, value_name = "DEPARTMENT")]
        department: Vec<String>,
        /// Lift all limits.
        #[arg(long, conflicts_with_all = ["division", "department"],
              required_unless_present_any = ["division", "department"])]
        lift: bool,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Give a user another password, which must be changed at the next login.
    Password {
        #[command(flatten)]
        reason: ReasonArgs,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Ask a user for the codes of an authenticator app beside the password, in the place of earlier
    /// ones. What the app needs is printed once; sessions end.
    Totp {
        /// Ask for no more codes instead, as when the phone is lost.
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// The tokens of programs.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// All tokens, or those of one user.
    List {
        /// The user.
        name: Option<String>,
    },
    /// Make a token; it is printed once.
    Create {
        /// Whose it is.
        name: String,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        title: String,
        /// What it may do, of what its user may. Can be given often. [default: everything]
        #[arg(long, value_name = "PERMISSION")]
        scope: Vec<String>,
        /// For how many days it is good, at most 366.
        #[arg(long, default_value_t = 90, value_name = "N")]
        days: u32,
    },
    /// Revoke a token.
    Revoke {
        /// Its id.
        id: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReasonArgs {
    /// The user.
    name: String,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of stdin instead.
    #[arg(long)]
    password_stdin: bool,
}

/// A role as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Runs the hub: runs, replays, explained differences.
    Operator,
    /// Asks the data.
    Analyst,
    /// Reads the audit, and nothing else.
    Auditor,
    /// Keeps accounts and tokens, and reads no data.
    Admin,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Operator => Self::Operator,
            RoleWord::Analyst => Self::Analyst,
            RoleWord::Auditor => Self::Auditor,
            RoleWord::Admin => Self::Admin,
        }
    }
}

/// The accounts of a hub.
pub(crate) fn accounts(hub: &Hub) -> Result<Accounts> {
    Accounts::new(
        hub.lake().store().clone(),
        hub.seal_key().clone(),
        hub.clock().clone(),
        hub.project.hub.serve.passwords,
        hub.project.hub.name.clone(),
    )
}

/// Does what was asked with accounts.
pub(crate) async fn user(setup: &Setup, command: UserCommand) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let accounts = accounts(&hub)?;
    let done = Box::pin(with(setup, &accounts, command)).await;
    hub.close().await;
    done.map(|()| exit::DONE)
}

async fn with(setup: &Setup, accounts: &Accounts, command: UserCommand) -> Result<(), Failure> {
    let printer = setup.printer;
    let by = |reason: &str| -> Result<By> {
        let reason = stated(reason)?.to_owned();
        Ok(By { who: setup.who(), address: "local".into(), reason })
    };
    match command {
        UserCommand::List => {
            let users = accounts.users().await?;
            if printer.is_json() {
                printer.json(&json!({ "users": users }));
            } else {
                users.iter().for_each(|user| print_user(printer, user));
            }
        }
        UserCommand::Add { name, title, role, password } => {
            let (password, is_made) = chosen(accounts, password)?;
            let new = NewUser { name, title, role: role.into(), password: password.clone() };
            let by = By { who: setup.who(), address: "local".into(), reason: String::new() };
            let user = accounts.add_user(&new, &by).await?;
            changed(printer, &user, is_made.then_some(password.as_str()));
        }
        UserCommand::Disable(ReasonArgs { name, reason }) => {
            changed(printer, &accounts.disable(&name, &by(&reason)?).await?, None);
        }
        UserCommand::Enable(ReasonArgs { name, reason }) => {
            changed(printer, &accounts.enable(&name, &by(&reason)?).await?, None);
        }
        UserCommand::Role { role, reason: ReasonArgs { name, reason } } => {
            let user = accounts.set_role(&name, role.into(), &by(&reason)?).await?;
            changed(printer, &user, None);
        }
        UserCommand::Limit { division, department, lift: _, reason } => {
            let limits = Limits { divisions: division, departments: department };
            let user = accounts.set_limits(&reason.name, limits, &by(&reason.reason)?).await?;
            changed(printer, &user, None);
        }
        UserCommand::Password { reason: ReasonArgs { name, reason }, password } => {
            let by = by(&reason)?;
            let (password, is_made) = chosen(accounts, password)?;
            let user = accounts.reset_password(&name, &password, &by).await?;
            changed(printer, &user, is_made.then_some(password.as_str()));
        }
        UserCommand::Totp { remove: true, reason: ReasonArgs { name, reason } } => {
            changed(printer, &accounts.remove_second_factor(&name, &by(&reason)?).await?, None);
        }
        UserCommand::Totp { remove: false, reason: ReasonArgs { name, reason } } => {
            let uri = accounts.add_second_factor(&name, &by(&reason)?).await?;
            if printer.is_json() {
                printer.json(&json!({ "user": name, "uri": uri }));
            } else {
                printer.line(&uri);
                print_note(
                    printer,
                    "the address is shown this once; an authenticator app makes the codes from it",
                    "该地址只显示这一次，在验证器应用中添加后生成动态验证码",
                );
            }
        }
        UserCommand::Token(command) => token(setup, accounts, command).await?,
    }
    Ok(())
}

async fn token(setup: &Setup, accounts: &Accounts, command: TokenCommand) -> Result<()> {
    let printer = setup.printer;
    match command {
        TokenCommand::List { name } => {
            let tokens = accounts.tokens(name.as_deref()).await?;
            if printer.is_json() {
                printer.json(&json!({ "tokens": tokens }));
            } else {
                tokens.iter().for_each(|token| print_token(printer, token));
            }
        }
        TokenCommand::Create { name, title, scope, days } => {
            let scopes = scope.iter().map(|word| permission(word)).collect::<Result<_>>()?;
            let by = By { who: setup.who(), address: "local".into(), reason: String::new() };
            let new = NewToken { title, scopes, days: Some(days) };
            let made = accounts.make_token(&name, &new, &by).await?;
            if printer.is_json() {
                printer.json(&json!({ "secret": made.secret, "token": made.token }));
            } else {
                printer.line(&made.secret);
                print_note(printer, "the token is shown this once", "令牌只显示这一次");
            }
        }
        TokenCommand::Revoke { id, reason } => {
            let reason = stated(&reason)?.to_owned();
            let by = By { who: setup.who(), address: "local".into(), reason };
            accounts.revoke_token(&id, None, &by).await?;
            if printer.is_json() {
                printer.json(&json!({ "id": id, "revoked": true }));
            } else {
                printer.line(&format!("{id} {}", printer.pick("revoked", "已撤销")));
            }
        }
    }
    Ok(())
}

fn permission(word: &str) -> Result<Permission> {
    Permission::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Permission::ALL.into_iter().map(Permission::as_str).collect();
        let message = format!("`{word}` is no permission");
        Error::new(ErrorKind::Config, "E-TOKEN-SCOPE", message)
            .hint(format!("there are: {}", known.join(", ")))
    })
}

/// The password from stdin, or one that is made up.
fn chosen(accounts: &Accounts, args: PasswordArgs) -> Result<(String, bool)> {
    if !args.password_stdin {
        return Ok((accounts.made_up_password()?, true));
    }
    let mut text = String::new();
    std::io::stdin().take(MAX_INPUT).read_to_string(&mut text).map_err(|e| {
        Error::new(ErrorKind::Config, "E-PASSWORD", "no password came from stdin")
            .hint("write it there in one line")
            .cause(e)
    })?;
    Ok((text.lines().next().unwrap_or_default().to_owned(), false))
}

fn changed(printer: Printer, user: &User, password: Option<&str>) {
    if printer.is_json() {
        let mut shown = json!(user);
        if let Some(password) = password {
            shown["password"] = password.into();
        }
        printer.json(&shown);
        return;
    }
    print_user(printer, user);
    if let Some(password) = password {
        printer.line(password);
        print_note(
            printer,
            "the password is shown this once, and must be changed at the next login",
            "口令只显示这一次，下次登录时必须修改",
        );
    }
}

fn print_user(printer: Printer, user: &User) {
    let state = match (user.disabled, user.must_change) {
        (true, _) => printer.pick("disabled", "已停用"),
        (false, true) => printer.pick("must change the password", "须修改口令"),
        (false, false) => "",
    };
    let factor = if user.second_factor { printer.pick("  codes", "  动态验证码") } else { "" };
    let last = user.last_login_at.as_deref().unwrap_or("-");
    let limits = match user.limits.is_open() {
        true => String::new(),
        false => format!("  {} {}", printer.pick("only", "仅限"), user.limits),
    };
    printer.line(&format!(
        "{:<20} {:<9} {}  {last}  {state}{factor}{limits}",
        user.name,
        user.role.as_str(),
        user.title
    ));
}

fn print_token(printer: Printer, token: &Token) {
    let state = match &token.revoked_at {
        Some(at) => format!("{} {at}", printer.pick("revoked", "已撤销")),
        None => format!("{} {}", printer.pick("until", "有效期至"), token.expires_at),
    };
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    printer.line(&format!(
        "{}  {:<20} {}  {}  {state}",
        token.id,
        token.user,
        token.title,
        scopes.join(" ")
    ));
}

fn print_note(printer: Printer, en: &'static str, zh: &'static str) {
    printer.note(printer.pick(en, zh));
}
