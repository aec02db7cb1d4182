"""Signing in: passwords, invitations, second factors, sessions and single sign-on, on top of django-allauth."""
