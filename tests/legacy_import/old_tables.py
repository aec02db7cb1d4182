"""The tables of MANTRA 1.99x, as they are in its database: names, order and types of the columns."""

from __future__ import annotations

_TABLES = """
CREATE TABLE `instances` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `instance` varchar(64) NOT NULL,
  `organization` text NOT NULL,
  `webportal` text,
  `email` text,
  `descript` longtext COMMENT 'isi; bebas, (lepas)',
  {dates},
  PRIMARY KEY (`id`),
  UNIQUE KEY `instance` (`instance`)
) {end}

CREATE TABLE `users` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `instanceid` bigint(20) NOT NULL,
  `fullname` varchar(128) NOT NULL,
  `email` text,
  `logname` varchar(64) NOT NULL,
  `passkey` varchar(64) NOT NULL,
  `role` enum('administrator','supervisor','choreographer','composer','publisher','provider','requester','visitor'),
  `activity` enum('off','on') NOT NULL DEFAULT 'off',
  {dates},
  PRIMARY KEY (`id`),
  UNIQUE KEY `logname` (`logname`),
  KEY `instanceid` (`instanceid`),
  CONSTRAINT `users_1` FOREIGN KEY (`instanceid`) REFERENCES `instances` (`id`) ON DELETE CASCADE
) {end}

CREATE TABLE `services` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `instanceid` bigint(20) NOT NULL,
  `servicename` varchar(64) NOT NULL,
  `servicetype` varchar(64) NOT NULL,
  `descript` longtext,
  {dates},
  PRIMARY KEY (`id`),
  UNIQUE KEY `service` (`instanceid`,`servicename`),
  CONSTRAINT `services_1` FOREIGN KEY (`instanceid`) REFERENCES `instances` (`id`) ON DELETE CASCADE
) {end}

CREATE TABLE `methods` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `serviceid` bigint(20) NOT NULL,
  `methodname` varchar(128) NOT NULL,
  `methodtype` varchar(16) NOT NULL,
  `restricted` enum('off','on') NOT NULL DEFAULT 'off',
  `sourcecode` longtext NOT NULL,
  `descript` longtext,
  {dates},
  PRIMARY KEY (`id`),
  UNIQUE KEY `method` (`serviceid`,`methodname`),
  CONSTRAINT `methods_1` FOREIGN KEY (`serviceid`) REFERENCES `services` (`id`) ON DELETE CASCADE
) {end}

CREATE TABLE `orders` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `userlog` varchar(64) NOT NULL,
  `accesskey` varchar(64) NOT NULL,
  `methodid` bigint(20) NOT NULL,
  `orderstatus` enum('off','on') NOT NULL DEFAULT 'off',
  {dates},
  PRIMARY KEY (`id`),
  KEY `userlog` (`userlog`),
  CONSTRAINT `orders_1` FOREIGN KEY (`userlog`) REFERENCES `users` (`logname`) ON DELETE CASCADE
) {end}

CREATE TABLE `tracks` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `userlog` varchar(64) NOT NULL,
  `userip` varchar(32) NOT NULL,
  `instance` varchar(64) NOT NULL,
  `trackid` varchar(128) NOT NULL,
  `trackname` varchar(64) NOT NULL,
  `trackstatus` varchar(16) NOT NULL,
  `tracknote` text,
  `trackdata` mediumtext,
  `registered` datetime DEFAULT NULL,
  PRIMARY KEY (`id`)
) {end}

CREATE TABLE `notifications` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(64) NOT NULL,
  `template` longtext,
  PRIMARY KEY (`id`)
) {end}

CREATE TABLE `codefications` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `group` varchar(64) NOT NULL,
  `code` varchar(64) NOT NULL,
  `value` longtext,
  PRIMARY KEY (`id`)
) {end}

CREATE TABLE `caches` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `content` longblob,
  PRIMARY KEY (`id`)
) {end}
"""

#: CREATE TABLE by the name of the table.
CREATE = {
    text.split("`")[1]: text.format(
        dates="`registered` datetime DEFAULT NULL,\n  `updated` datetime DEFAULT NULL",
        end="ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci",
    )
    for text in _TABLES.strip().split("\n\n")
}
