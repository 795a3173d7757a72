"""Jira Service Management, operations: its integration events take what Opsgenie took.

Reference: https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events/
"""

from __future__ import annotations

from tocsin.notify.opsgenie import AlertsByAlias
from tocsin.spec.destination import JiraServiceManagementDestination


class JiraServiceManagement(AlertsByAlias[JiraServiceManagementDestination]):
    """Alerts of an API integration of a team in Jira Service Management."""

    name = "jira_service_management"
