"""A page to look at a log: sessions, timelines, health. Needs the packages of chat-eventlog[web]."""
