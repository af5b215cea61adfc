CREATE TABLE `keys_all` (
  `a` int(11) NOT NULL,
  `b` varchar(100) NOT NULL,
  `c` text DEFAULT NULL,
  `d` blob DEFAULT NULL,
  `e` int(11) DEFAULT NULL,
  `f` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`,`b`),
  UNIQUE KEY `u1` (`e`),
  UNIQUE KEY `u2` (`b`(10),`e`),
  KEY `k1` (`c`(20)),
  KEY `k2` (`d`(30),`f`) COMMENT 'index comment',
  KEY `k3` (`f`) USING BTREE,
  KEY `odd ``name` (`e`,`f`),
  FULLTEXT KEY `ft` (`c`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
