//! Who asks: `/auth` and `/users/me`.

use crate::{
    error::ApiError,
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::Json;
use offshoot_catalog::{Account, AccountId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(auth)).routes(routes!(user_me)).routes(routes!(user_organizations))
}

/// An account's id as the wire has it: a UUID of version 8, in whose last 62 bits the number stands.
pub(crate) fn account_id(id: AccountId) -> String {
    Uuid::from_u64_pair(0x8000, 0b10 << 62 | id.get()).to_string()
}

#[derive(Serialize, ToSchema)]
struct AuthBody {
    account_id: String,
    auth_method: &'static str,
}

/// The account as a user. Neon requires more fields than Offshoot has values for: texts are empty, and limits 0.
#[derive(Serialize, ToSchema)]
struct UserBody {
    id: String,
    login: String,
    name: String,
    last_name: &'static str,
    email: &'static str,
    image: &'static str,
    auth_accounts: Vec<AuthAccountBody>,
    billing_account: BillingBody,
    plan: &'static str,
    active_seconds_limit: u64,
    compute_seconds_limit: u64,
    projects_limit: u64,
    branches_limit: u64,
    max_autoscaling_limit: f64,
}

/// Offshoot knows API keys only, so there are none.
#[derive(Serialize, ToSchema)]
struct AuthAccountBody {
    provider: String,
    email: String,
    name: String,
    login: String,
    image: String,
}

/// Nothing is billed.
#[derive(Serialize, ToSchema)]
struct BillingBody {
    state: &'static str,
    payment_source: PaymentSourceBody,
    subscription_type: &'static str,
    payment_method: &'static str,
    quota_reset_at_last: Timestamp,
    name: &'static str,
    email: &'static str,
    address_city: &'static str,
    address_country: &'static str,
    address_line1: &'static str,
    address_line2: &'static str,
    address_postal_code: &'static str,
    address_state: &'static str,
}

#[derive(Serialize, ToSchema)]
struct PaymentSourceBody {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl From<Account> for UserBody {
    fn from(account: Account) -> UserBody {
        UserBody {
            id: account_id(account.id),
            login: account.name.to_string(),
            name: account.name.to_string(),
            last_name: "",
            email: "",
            image: "",
            auth_accounts: Vec::new(),
            billing_account: BillingBody {
                state: "UNKNOWN",
                payment_source: PaymentSourceBody { kind: "none" },
                subscription_type: "UNKNOWN",
                payment_method: "none",
                quota_reset_at_last: account.created_at.into(),
                name: "",
                email: "",
                address_city: "",
                address_country: "",
                address_line1: "",
                address_line2: "",
                address_postal_code: "",
                address_state: "",
            },
            plan: "offshoot",
            active_seconds_limit: 0,
            compute_seconds_limit: 0,
            projects_limit: 0,
            branches_limit: 0,
            max_autoscaling_limit: 0.0,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct OrganizationsBody {
    organizations: Vec<OrganizationBody>,
}

/// Projects belong to accounts, so there are none.
#[derive(Serialize, ToSchema)]
struct OrganizationBody {
    id: String,
    name: String,
    handle: String,
    plan: String,
    managed_by: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Says in whose name the key of the request speaks.
#[utoipa::path(
    get,
    path = "/auth",
    operation_id = "getAuthDetails",
    tag = "Account",
    responses((status = 200, body = AuthBody))
)]
async fn auth(session: Session) -> Json<AuthBody> {
    Json(AuthBody { account_id: account_id(session.account()), auth_method: "api_key_user" })
}

/// Shows the account.
#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "getCurrentUserInfo",
    tag = "Account",
    responses((status = 200, body = UserBody))
)]
async fn user_me(session: Session) -> Result<Json<UserBody>, ApiError> {
    let account = session.run(|catalog, caller| catalog.account_get(caller.account)).await?;
    Ok(Json(account.into()))
}

/// Lists the account's organizations: there are none.
#[utoipa::path(
    get,
    path = "/users/me/organizations",
    operation_id = "getCurrentUserOrganizations",
    tag = "Account",
    responses((status = 200, body = OrganizationsBody))
)]
async fn user_organizations(_: Session) -> Json<OrganizationsBody> {
    Json(OrganizationsBody { organizations: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_uuid_with_its_number_in_it() {
        assert_eq!(account_id(AccountId::new(0x1234)), "00000000-0000-8000-8000-000000001234");
    }
}
