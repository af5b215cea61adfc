CREATE TABLE `child_nonunique` (
  `id` int(11) NOT NULL,
  `n` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_n` (`n`),
  CONSTRAINT `fk_n` FOREIGN KEY (`n`) REFERENCES `parent` (`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
