CREATE TABLE `unique_only` (
  `a` int(11) NOT NULL,
  `b` int(11) DEFAULT NULL,
  UNIQUE KEY `u` (`a`),
  UNIQUE KEY `n` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
