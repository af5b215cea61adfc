CREATE TABLE `varbinary_default` (
  `a` int(11) NOT NULL,
  `b` varbinary(10) DEFAULT 'ABC',
  `c` bit(8) DEFAULT b'101',
  `d` timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `e` varchar(20) DEFAULT user(),
  `f` int(11) DEFAULT -1,
  `g` double DEFAULT 15000000000,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
