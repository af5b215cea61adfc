CREATE TABLE `hash_unique` (
  `a` int(11) NOT NULL,
  `b` text DEFAULT NULL,
  `c` blob DEFAULT NULL,
  PRIMARY KEY (`a`),
  UNIQUE KEY `ub` (`b`) USING HASH,
  UNIQUE KEY `uc` (`c`) USING HASH
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
