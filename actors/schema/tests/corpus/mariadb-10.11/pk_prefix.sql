CREATE TABLE `pk_prefix` (
  `a` varchar(200) NOT NULL,
  `b` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`(20))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
