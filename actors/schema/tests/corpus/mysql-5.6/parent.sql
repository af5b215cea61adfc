CREATE TABLE `parent` (
  `id` int(11) NOT NULL,
  `code` varchar(10) NOT NULL,
  `n` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uc` (`code`),
  KEY `kn` (`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
