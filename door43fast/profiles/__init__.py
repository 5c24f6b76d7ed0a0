"""Profiles: whole plans for kinds of applications, each setting with its reason. See docs/profiles.md."""

from door43fast.profiles.advice import Suggestion, recommend
from door43fast.profiles.files import get, planned
from door43fast.profiles.ours import BIBLE_READER, OURS, REVIEW_PLATFORM, SERVER_API, TRANSLATION_TOOL
from door43fast.profiles.profile import Profile, Setting, Use

__all__ = ["BIBLE_READER", "OURS", "REVIEW_PLATFORM", "SERVER_API", "TRANSLATION_TOOL", "Profile", "Setting",
           "Suggestion", "Use", "get", "planned", "recommend"]
