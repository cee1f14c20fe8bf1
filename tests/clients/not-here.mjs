// The methods of the TypeScript client that the server has no call for, by the reason.
export default {
  "They are the client's own tools, and no calls.": [
    "setSecurityData", "request", "instance", "mergeRequestParams", "stringifyFormItem", "createFormData",
  ],
  "Neon Auth is a service beside the database.": [
    "createNeonAuthIntegration", "getNeonAuth", "createNeonAuth", "disableNeonAuth", "listNeonAuthRedirectUriWhitelistDomains",
    "addNeonAuthDomainToRedirectUriWhitelist", "deleteNeonAuthDomainFromRedirectUriWhitelist", "listBranchNeonAuthTrustedDomains",
    "addBranchNeonAuthTrustedDomain", "deleteBranchNeonAuthTrustedDomain", "createNeonAuthProviderSdkKeys", "createNeonAuthNewUser",
    "createBranchNeonAuthNewUser", "deleteBranchNeonAuthUser", "updateNeonAuthUserRole", "deleteNeonAuthUser", "transferNeonAuthProviderProject",
    "listNeonAuthIntegrations", "listNeonAuthOauthProviders", "addNeonAuthOauthProvider", "listBranchNeonAuthOauthProviders",
    "addBranchNeonAuthOauthProvider", "updateNeonAuthOauthProvider", "deleteNeonAuthOauthProvider", "updateBranchNeonAuthOauthProvider",
    "deleteBranchNeonAuthOauthProvider", "getNeonAuthEmailServer", "updateNeonAuthEmailServer", "sendNeonAuthTestEmail",
    "getNeonAuthEmailAndPasswordConfig", "updateNeonAuthEmailAndPasswordConfig", "getNeonAuthEmailProvider", "updateNeonAuthEmailProvider",
    "deleteNeonAuthIntegration", "getNeonAuthAllowLocalhost", "updateNeonAuthAllowLocalhost", "getNeonAuthPluginConfigs",
    "updateNeonAuthOrganizationPlugin", "updateNeonAuthConfig", "updateNeonAuthMagicLinkPlugin", "getNeonAuthPhoneNumberPlugin",
    "updateNeonAuthPhoneNumberPlugin", "getNeonAuthWebhookConfig", "updateNeonAuthWebhookConfig",
  ],
  "The data API is a service beside the database.": [
    "createProjectBranchDataApi", "updateProjectBranchDataApi", "deleteProjectBranchDataApi", "getProjectBranchDataApi",
  ],
  "Functions, buckets, credentials for them, and AI are services beside the database.": [
    "createProjectBranchBucket", "deleteProjectBranchBucket", "getProjectBranchStorage", "getProjectBranchAiGateway",
    "listProjectBranchBucketObjects", "deleteProjectBranchBucketObject", "getProjectBranchBucketObject", "deleteProjectBranchBucketObjectsByPrefix",
    "presignProjectBranchBucketObject", "createCredential", "revokeCredential",
    "getProjectBranchFunction", "updateProjectBranchFunction", "deleteProjectBranchFunction", "createProjectBranchFunctionDeployment",
  ],
  "An account is no organization.": [
    "getOrganization", "listOrgApiKeys", "createOrgApiKey", "revokeOrgApiKey", "getOrganizationSpendingLimit", "setOrganizationSpendingLimit",
    "deleteOrganizationSpendingLimit", "getOrganizationMembers", "getOrganizationMember", "updateOrganizationMember", "removeOrganizationMember",
    "getOrganizationInvitations", "createOrganizationInvitations", "transferProjectsFromOrgToOrg", "transferProjectsFromUserToOrg",
  ],
  "Nothing is metered.": [
    "getConsumptionHistoryPerProject", "getConsumptionHistoryPerProjectV2", "getConsumptionHistoryPerBranchV2",
  ],
  "There are no private networks.": [
    "listProjectVpcEndpoints", "assignProjectVpcEndpoint", "deleteProjectVpcEndpoint", "listOrganizationVpcEndpointsAllRegions",
    "listOrganizationVpcEndpoints", "getOrganizationVpcEndpointDetails", "assignOrganizationVpcEndpoint", "deleteOrganizationVpcEndpoint",
  ],
  "A project stays with its account, and is not shared.": [
    "revokePermissionFromProject", "createProjectTransferRequest", "acceptProjectTransferRequest",
  ],
  "They need table data.": [
    "getProjectAdvisorSecurityIssues", "createProjectBranchAnonymized", "getMaskingRules", "updateMaskingRules", "getAnonymizedBranchStatus",
    "startAnonymization",
  ],
  "Snapshots are taken when somebody asks for one.": [
    "getSnapshotSchedule", "setSnapshotSchedule",
  ],
  "Computes log in with passwords only.": [
    "getProjectJwks", "addProjectJwks", "deleteProjectJwks",
  ],
  "Computes have the libraries that their PostgreSQL has.": [
    "getAvailablePreloadLibraries",
  ],
};
